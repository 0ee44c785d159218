/**
 * The depth of one market: open lots and orders at each price, and how a ladder is cut from it.
 * Fed by `api/session.ts` with the levels of `depth` messages; read by the store once per paint.
 * Never repairs: a book whose checksum differs is thrown away by its owner and asked for again.
 */
import { addLots, type Lots, type Ticks } from '../units.ts';
import { crc32 } from './crc.ts';

export type Side = 'bid' | 'ask';
/** What is open at one price; `lots` 0 says the level is gone. */
export interface Level {
  readonly ticks: Ticks;
  readonly lots: Lots;
  readonly orders: number;
}

/** One side, as three parallel arrays with the best price last: changes happen near the best, so few entries move. */
class Levels {
  readonly ticks: Ticks[] = [];
  readonly lots: Lots[] = [];
  readonly orders: number[] = [];
  /** +1: better is higher (bids); -1: better is lower (asks). */
  readonly sign: 1 | -1;

  constructor(sign: 1 | -1) {
    this.sign = sign;
  }

  /** Place of `ticks`: index of the first entry that is not worse than it. */
  #seek(ticks: Ticks): number {
    let low = 0;
    let high = this.ticks.length;
    while (low < high) {
      const mid = (low + high) >>> 1;
      if (((this.ticks[mid] ?? 0) - ticks) * this.sign < 0) low = mid + 1;
      else high = mid;
    }
    return low;
  }

  put(level: Level): void {
    const at = this.#seek(level.ticks);
    const known = this.ticks[at] === level.ticks;
    if (level.lots === 0) {
      if (!known) return;
      this.ticks.splice(at, 1);
      this.lots.splice(at, 1);
      this.orders.splice(at, 1);
    } else if (known) {
      this.lots[at] = level.lots;
      this.orders[at] = level.orders;
    } else {
      this.ticks.splice(at, 0, level.ticks);
      this.lots.splice(at, 0, level.lots);
      this.orders.splice(at, 0, level.orders);
    }
  }

  /** The `n`-th best level, from 0. */
  at(n: number): Level | null {
    const i = this.ticks.length - 1 - n;
    const ticks = this.ticks[i];
    return ticks === undefined ? null : { ticks, lots: this.lots[i] as Lots, orders: this.orders[i] as number };
  }

  find(ticks: Ticks): Level | null {
    const i = this.#seek(ticks);
    return this.ticks[i] === ticks ? { ticks, lots: this.lots[i] as Lots, orders: this.orders[i] as number } : null;
  }
}

export class Book {
  readonly #bids = new Levels(1);
  readonly #asks = new Levels(-1);

  #side(side: Side): Levels {
    return side === 'bid' ? this.#bids : this.#asks;
  }
  /** Sets one level to what the message says; sizes are absolute. */
  put(side: Side, level: Level): void {
    this.#side(side).put(level);
  }
  /** The `n`-th best level of a side, from 0. */
  best(side: Side, n = 0): Level | null {
    return this.#side(side).at(n);
  }
  level(side: Side, ticks: Ticks): Level | null {
    return this.#side(side).find(ticks);
  }
  /** Number of levels of a side. */
  count(side: Side): number {
    return this.#side(side).ticks.length;
  }
  /** A resting book never crosses; one that does was read wrongly. */
  crossed(): boolean {
    const bid = this.#bids.at(0);
    const ask = this.#asks.at(0);
    return bid !== null && ask !== null && bid.ticks >= ask.ticks;
  }

  /** CRC-32 over the digits of the top 10 asks, then of the top 10 bids, each `ticks` then `lots`; 0 when empty. */
  crc(): number {
    let text = '';
    for (const side of [this.#asks, this.#bids]) {
      const last = side.ticks.length - 1;
      for (let i = last; i >= 0 && i > last - 10; i--) text += `${side.ticks[i]}${side.lots[i]}`;
    }
    return crc32(text);
  }

  /**
   * The best `rows` rows of a side, prices joined in groups of `group` ticks: bids go down to the group, asks up, so
   * that a row never shows a better price than its orders have. `total` is the running sum from the best price.
   */
  rows(side: Side, group: number, rows: number): LadderRow[] {
    const levels = this.#side(side);
    const out: LadderRow[] = [];
    let total = 0 as Lots;
    let row: { ticks: Ticks; lots: Lots; orders: number; total: Lots } | null = null;
    for (let i = levels.ticks.length - 1; i >= 0; i--) {
      const ticks = levels.ticks[i] as Ticks;
      const key = (side === 'bid' ? ticks - (ticks % group) : Math.ceil(ticks / group) * group) as Ticks;
      if (row === null || row.ticks !== key) {
        if (out.length === rows) break;
        row = { ticks: key, lots: 0 as Lots, orders: 0, total };
        out.push(row);
      }
      total = addLots(total, levels.lots[i] as Lots);
      row.lots = addLots(row.lots, levels.lots[i] as Lots);
      row.orders += levels.orders[i] as number;
      row.total = total;
    }
    return out;
  }
}

/** One painted row of the ladder. `total` counts from the best price down to this row. */
export interface LadderRow extends Level {
  readonly total: Lots;
}
