import { describe, expect, test } from 'vitest';
import { lots, ticks } from '../units.ts';
import { CANDLES_KEPT, type Candle, Candles } from './candles.ts';

const candle = (minute: number, close = 100, size = 1, closed = false): Candle => ({
  open_ms: minute * 60_000,
  open: ticks(100),
  high: ticks(Math.max(100, close)),
  low: ticks(Math.min(100, close)),
  close: ticks(close),
  lots: lots(size),
  closed,
});

describe('candles', () => {
  test('the open one is replaced, the next one is added', () => {
    const candles = new Candles('1m');
    candles.load([candle(1, 100, 1, true), candle(2)]);
    expect(candles.apply(candle(2, 103, 5))).toBe('applied');
    expect(candles.apply(candle(3, 99))).toBe('applied');
    expect(candles.rows().map((row) => [row.open_ms / 60_000, row.close])).toEqual([
      [1, 100],
      [2, 103],
      [3, 99],
    ]);
  });
  test('an older picture of the open one does not take back what it grew to', () => {
    const candles = new Candles('1m');
    candles.load([candle(1, 104, 9)]);
    expect(candles.apply(candle(1, 102, 4))).toBe('old');
    expect(candles.last?.close).toBe(104);
  });
  test('the one that just closed may come after its successor began', () => {
    const candles = new Candles('1m');
    candles.load([candle(1), candle(2)]);
    candles.apply(candle(3));
    expect(candles.apply(candle(2, 107, 9, true))).toBe('applied');
    expect(candles.rows()[1]?.close).toBe(107);
  });
  test('a hole is reported and not drawn', () => {
    const candles = new Candles('1m');
    candles.load([candle(1)]);
    expect(candles.apply(candle(3))).toBe('skipped');
    expect(candles.last?.open_ms).toBe(60_000);
  });
  test('one older than the history is ignored', () => {
    const candles = new Candles('1m');
    candles.load([candle(5)]);
    expect(candles.apply(candle(4))).toBe('old');
  });
  test('history that arrives late does not take back what the feed brought', () => {
    const candles = new Candles('1m');
    candles.load([candle(1), candle(2, 100, 1)]);
    candles.apply(candle(2, 109, 7));
    candles.apply(candle(3, 110, 2));
    candles.load([candle(1), candle(2, 101, 3)]);
    expect(candles.rows().map((row) => row.close)).toEqual([100, 109, 110]);
  });
  test('a page left open does not grow without end', () => {
    const candles = new Candles('1s');
    for (let i = 0; i < CANDLES_KEPT * 3; i++) candles.apply({ ...candle(0), open_ms: i * 1000 });
    expect(candles.rows().length).toBeLessThanOrEqual(CANDLES_KEPT);
    expect(candles.last?.open_ms).toBe((CANDLES_KEPT * 3 - 1) * 1000);
  });
});
