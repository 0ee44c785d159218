/** The chain's pace, from the last blocks. All times are block times; the caller's clock is not read. */

export interface BlockFigures {
  readonly block: number;
  readonly time_ms: number;
  readonly txs: number;
  readonly gas_used: number;
}

export interface ChainFigures {
  readonly block: number;
  readonly time_ms: number;
  /** Hundredths of transactions per second over the last 5 s of block time. */
  readonly tx_per_s_x100: number;
  /** Hundredths of a million gas per second, likewise. */
  readonly mgas_per_s_x100: number;
  readonly block_ms_p50: number;
  readonly block_ms_p99: number;
  readonly gas_used: number;
  readonly txs: number;
}

const KEPT = 600;
const WINDOW_MS = 5_000;

export class Chain {
  #blocks: BlockFigures[] = [];

  get last(): BlockFigures | null {
    return this.#blocks.at(-1) ?? null;
  }
  add(figures: BlockFigures): void {
    if (figures.block <= (this.last?.block ?? -1)) return;
    this.#blocks.push(figures);
    if (this.#blocks.length > KEPT) this.#blocks.splice(0, KEPT / 2);
  }
  /** Forgets the blocks above `block`: the chain took them back. */
  revert(block: number): void {
    this.#blocks = this.#blocks.filter((row) => row.block <= block);
  }

  /** Sorted differences of the last 50 block times. */
  #gaps(): number[] {
    const rows = this.#blocks.slice(-51);
    return rows
      .slice(1)
      .map((row, i) => row.time_ms - (rows[i]?.time_ms ?? row.time_ms))
      .sort((a, b) => a - b);
  }
  /** Median block time in ms; 0 while unknown. */
  median(): number {
    const gaps = this.#gaps();
    return gaps[gaps.length >> 1] ?? 0;
  }

  figures(): ChainFigures | null {
    const last = this.last;
    if (last === null) return null;
    let txs = 0;
    let gas = 0;
    for (let i = this.#blocks.length - 1; i >= 0; i--) {
      const row = this.#blocks[i];
      if (row === undefined || row.time_ms <= last.time_ms - WINDOW_MS) break;
      txs += row.txs;
      gas += row.gas_used;
    }
    const first = this.#blocks[0]?.time_ms ?? last.time_ms;
    // Until 5 s are seen the sums are divided by what was seen, or the first seconds would show a slow chain.
    const span_ms = Math.min(WINDOW_MS, Math.max(last.time_ms - first + this.median(), 100));
    const gaps = this.#gaps();
    return {
      block: last.block,
      time_ms: last.time_ms,
      tx_per_s_x100: Math.round((txs * 100_000) / span_ms),
      mgas_per_s_x100: Math.round(gas / 10 / span_ms),
      block_ms_p50: gaps[gaps.length >> 1] ?? 0,
      block_ms_p99: gaps[Math.ceil(gaps.length * 0.99) - 1] ?? 0,
      gas_used: last.gas_used,
      txs: last.txs,
    };
  }
}
