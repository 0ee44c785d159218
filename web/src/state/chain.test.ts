import { expect, test } from 'vitest';
import { Chain } from './chain.ts';

test('rates are sums over the last five seconds of block time', () => {
  const chain = new Chain();
  for (let i = 1; i <= 100; i++) chain.add({ block: i, time_ms: 1_000_000 + i * 100, txs: 30, gas_used: 2_000_000 });
  const figures = chain.figures();
  expect(figures?.block).toBe(100);
  expect(figures?.tx_per_s_x100).toBe(30_000);
  expect(figures?.mgas_per_s_x100).toBe(2_000);
  expect(figures?.block_ms_p50).toBe(100);
});

test('a young chain is not shown slower than it is', () => {
  const chain = new Chain();
  for (let i = 1; i <= 5; i++) chain.add({ block: i, time_ms: 1_000_000 + i * 100, txs: 10, gas_used: 0 });
  expect(chain.figures()?.tx_per_s_x100).toBe(10_000);
});

test('a block counts once, and a revert forgets it', () => {
  const chain = new Chain();
  chain.add({ block: 1, time_ms: 100, txs: 1, gas_used: 1 });
  chain.add({ block: 2, time_ms: 200, txs: 1, gas_used: 1 });
  chain.add({ block: 2, time_ms: 200, txs: 9, gas_used: 1 });
  expect(chain.figures()?.txs).toBe(1);
  chain.revert(1);
  expect(chain.last?.block).toBe(1);
});

test('nothing seen, nothing said', () => {
  expect(new Chain().figures()).toBeNull();
  expect(new Chain().median()).toBe(0);
});
