import { expect, test } from 'vitest';
import { lots, ticks } from '../units.ts';
import { TRADES_KEPT, type Trade, Trades } from './trades.ts';

const trade = (n: number): Trade => ({
  trade: n,
  ticks: ticks(100 + n),
  lots: lots(1),
  taker_side: 'bid',
  time_ms: n,
  block: n,
  seq: n * 10,
});

test('trades stand newest first, fifty at most, none twice', () => {
  const trades = new Trades();
  expect(trades.add([trade(1), trade(2)])).toBe(2);
  expect(trades.add([trade(2), trade(3)])).toBe(1);
  expect(trades.rows().map((row) => row.trade)).toEqual([3, 2, 1]);
  trades.add(Array.from({ length: 80 }, (_, i) => trade(i + 4)));
  expect(trades.rows().length).toBe(TRADES_KEPT);
  expect(trades.last?.trade).toBe(83);
});

test('a revert takes back what came after it', () => {
  const trades = new Trades();
  trades.add([trade(1), trade(2), trade(3)]);
  trades.revert(20);
  expect(trades.rows().map((row) => row.trade)).toEqual([2, 1]);
  trades.add([trade(3)]);
  expect(trades.last?.trade).toBe(3);
});
