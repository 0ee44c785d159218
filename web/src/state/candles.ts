/**
 * Candles of one market and interval, oldest first, without holes. History comes from REST, the end from the feed.
 * Each candle of the feed is absolute, so a repeated one changes nothing.
 */
import type { Lots, Ticks } from '../units.ts';

export const INTERVALS = ['1s', '1m', '5m', '15m', '1h', '1d'] as const;
export type Interval = (typeof INTERVALS)[number];
export const INTERVAL_MS: Readonly<Record<Interval, number>> = {
  '1s': 1_000,
  '1m': 60_000,
  '5m': 300_000,
  '15m': 900_000,
  '1h': 3_600_000,
  '1d': 86_400_000,
};
export const CANDLES_ASKED = 500;
/** Beyond this the oldest are cut: a page left open for a day at 1 s must not grow without end. */
export const CANDLES_KEPT = 2_000;

export interface Candle {
  readonly open_ms: number;
  readonly open: Ticks;
  readonly high: Ticks;
  readonly low: Ticks;
  readonly close: Ticks;
  readonly lots: Lots;
  readonly closed: boolean;
}

/** `applied`: the last candle changed or one was added. `skipped`: intervals are missing before it, ask for history again. */
export type CandleVerdict = 'applied' | 'old' | 'skipped';

export class Candles {
  readonly interval: Interval;
  #rows: Candle[] = [];
  /** Rises whenever more than the end changed, so that a chart knows to take all rows. */
  generation = 0;

  constructor(interval: Interval) {
    this.interval = interval;
  }
  rows(): readonly Candle[] {
    return this.#rows;
  }
  get last(): Candle | null {
    return this.#rows.at(-1) ?? null;
  }
  /** History from REST, ascending. A newer candle that the feed brought meanwhile stays. */
  load(history: readonly Candle[]): void {
    const end = history.at(-1)?.open_ms ?? 0;
    const newer = this.#rows.filter((row) => row.open_ms > end);
    const same = this.#rows.find((row) => row.open_ms === end);
    this.#rows = [...history, ...newer];
    const at = history.length - 1;
    const held = this.#rows[at];
    if (same !== undefined && held !== undefined && !held.closed && same.lots > held.lots) this.#rows[at] = same;
    this.generation++;
  }
  apply(candle: Candle): CandleVerdict {
    const last = this.#rows.at(-1);
    if (last === undefined || candle.open_ms === last.open_ms + INTERVAL_MS[this.interval]) {
      this.#rows.push(candle);
      if (this.#rows.length > CANDLES_KEPT) {
        this.#rows.splice(0, this.#rows.length - CANDLES_ASKED);
        this.generation++;
      }
      return 'applied';
    }
    if (candle.open_ms === last.open_ms) {
      // A candle only grows: one with less in it was sent before what is held.
      if (candle.lots < last.lots) return 'old';
      this.#rows[this.#rows.length - 1] = candle;
      return 'applied';
    }
    if (candle.open_ms > last.open_ms) return 'skipped';
    const at = this.#rows.findIndex((row) => row.open_ms === candle.open_ms);
    if (at < 0) return 'old';
    this.#rows[at] = candle;
    if (at < this.#rows.length - 2) this.generation++;
    return 'applied';
  }
}
