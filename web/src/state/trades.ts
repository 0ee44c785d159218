/** The last 50 trades of one market, newest first. Trade numbers only rise, so a repeated fill is known by its number. */
import type { Lots, Ticks } from '../units.ts';
import type { Side } from './book.ts';

export interface Trade {
  readonly trade: number;
  readonly ticks: Ticks;
  readonly lots: Lots;
  /** Who came: a taker's bid is a buy. */
  readonly taker_side: Side;
  readonly time_ms: number;
  readonly block: number;
  readonly seq: number;
}

export const TRADES_KEPT = 50;

export class Trades {
  #rows: Trade[] = [];

  rows(): readonly Trade[] {
    return this.#rows;
  }
  get last(): Trade | null {
    return this.#rows[0] ?? null;
  }
  /** Adds the fills of one message, oldest first. Returns how many were new. */
  add(fills: readonly Trade[]): number {
    let added = 0;
    for (const fill of fills) {
      if (fill.trade <= (this.#rows[0]?.trade ?? 0)) continue;
      this.#rows.unshift(fill);
      added++;
    }
    if (this.#rows.length > TRADES_KEPT) this.#rows.length = TRADES_KEPT;
    return added;
  }
  /** Forgets what came after `seq`: the chain took it back. */
  revert(seq: number): void {
    this.#rows = this.#rows.filter((row) => row.seq <= seq);
  }
  clear(): void {
    this.#rows = [];
  }
}
