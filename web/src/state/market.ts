/** What is fixed about a market, and its figures of the last 24 hours. */
import type { Lots, Step, Ticks } from '../units.ts';

export interface Market {
  readonly market: number;
  /** As shown and as in the address: "ETH-USDC". */
  readonly name: string;
  readonly base: string;
  readonly quote: string;
  readonly quote_decimals: number;
  /** Price of one tick, in quote. */
  readonly tick: Step;
  /** Size of one lot, in base. */
  readonly lot: Step;
  readonly status: string;
}

export interface Ticker {
  readonly open: Ticks;
  readonly high: Ticks;
  readonly low: Ticks;
  readonly last: Ticks;
  readonly lots: Lots;
  readonly quote_atoms: bigint;
  readonly trades: number;
}

/** Market of an address such as "eth-usdc"; names are compared without case. */
export const findMarket = (markets: readonly Market[], name: string): Market | null =>
  markets.find((market) => market.name.toLowerCase() === name.toLowerCase()) ?? null;
