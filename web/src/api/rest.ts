/** The few REST reads of the page. Every call has a time limit and fails with a sentence that can be shown. */
import type { Config } from '../config.ts';
import { CANDLES_ASKED, type Candle, INTERVAL_MS, type Interval } from '../state/candles.ts';
import type { Market } from '../state/market.ts';
import { decodeBody, decodeCandles, decodeConfig, decodeMarkets, decodeStatus, type Status } from './schema.ts';

const TIMEOUT_MS = 8_000;

/** GET of `path` on our own origin, as JSON. */
const get = async (path: string): Promise<unknown> => {
  let answer: Response;
  try {
    answer = await fetch(path, { signal: AbortSignal.timeout(TIMEOUT_MS), cache: 'no-store' });
  } catch {
    throw new Error(`the server does not answer ${path}`);
  }
  if (!answer.ok) throw new Error(`the server answered ${answer.status} to ${path}`);
  try {
    return await answer.json();
  } catch {
    throw new Error(`the server's answer to ${path} is no JSON`);
  }
};

export const fetchConfig = async (): Promise<Config> => decodeConfig(await get('/config.json'));
export const fetchStatus = async (): Promise<Status> => decodeStatus(decodeBody(await get('/v1/status')));
export const fetchMarkets = async (): Promise<Market[]> => decodeMarkets(decodeBody(await get('/v1/markets')));

/** The last 500 candles up to `now_ms` (the server's clock), ascending, silent intervals filled with the last close. */
export const fetchCandles = async (market: number, interval: Interval, now_ms: number): Promise<Candle[]> => {
  const length = INTERVAL_MS[interval];
  const to_ms = Math.floor(now_ms / length) * length + length;
  const query = new URLSearchParams({
    market: String(market),
    interval,
    from_ms: String(Math.max(0, to_ms - CANDLES_ASKED * length)),
    to_ms: String(to_ms),
    // A few more than fit: should the chain's clock run ahead of ours, the newest must not be the ones left out.
    limit: String(CANDLES_ASKED + 10),
    fill: 'prev',
  });
  const rows = decodeCandles(decodeBody(await get(`/v1/candles?${query}`)));
  return rows.sort((a, b) => a.open_ms - b.open_ms);
};
