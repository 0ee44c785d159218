/**
 * Turns what the api sent into typed values, or throws `Malformed` with the path and both sides: expected and found.
 * The only place that trusts nothing. Unknown fields and unknown channels are left alone, so that a newer server works.
 */
import type { Config } from '../config.ts';
import type { Level, Side } from '../state/book.ts';
import { type Candle, INTERVALS, type Interval } from '../state/candles.ts';
import type { Market, Ticker } from '../state/market.ts';
import { type Lots, lots, step, type Ticks, ticks } from '../units.ts';

/** The server sent something of a known kind and wrong shape. */
export class Malformed extends Error {
  override readonly name = 'Malformed';
}

type Json = unknown;
const say = (value: Json): string => {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
};
const fail = (path: string, expected: string, found: Json): never => {
  throw new Malformed(`${path}: expected ${expected}, found ${say(found)}`);
};
const object = (value: Json, path: string): Record<string, Json> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Record<string, Json>)
    : fail(path, 'an object', value);
const array = (value: Json, path: string): readonly Json[] => (Array.isArray(value) ? value : fail(path, 'a list', value));
const text = (value: Json, path: string): string => (typeof value === 'string' ? value : fail(path, 'text', value));
const count = (value: Json, path: string): number =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? (value as number) : fail(path, 'a whole number below 2^53', value);
const asTicks = (value: Json, path: string): Ticks => ticks(count(value, path));
const asLots = (value: Json, path: string): Lots => lots(count(value, path));
const atoms = (value: Json, path: string): bigint => {
  const digits = text(value, path);
  return /^\d{1,78}$/.test(digits) ? BigInt(digits) : fail(path, 'atoms as digits', value);
};
const side = (value: Json, path: string): Side =>
  value === 'bid' || value === 'ask' ? value : fail(path, '"bid" or "ask"', value);
const interval = (value: Json, path: string): Interval =>
  INTERVALS.find((known) => known === value) ?? fail(path, `one of ${INTERVALS.join(' ')}`, value);

export const decodeConfig = (value: Json): Config => {
  const o = object(value, 'config');
  return {
    chain_id: count(o.chain_id, 'config.chain_id'),
    exchange: text(o.exchange, 'config.exchange'),
    ws: text(o.ws, 'config.ws'),
    version: text(o.version, 'config.version'),
  };
};

/** The `data` of a native REST answer. */
export const decodeBody = (value: Json): Json => object(value, 'answer').data;

export interface Status {
  readonly executed: number;
  /** First block of which the server can still resend the feed. */
  readonly ring_from: number;
}
export const decodeStatus = (value: Json): Status => {
  const o = object(value, 'status');
  return {
    executed: count(object(o.heads, 'status.heads').executed, 'status.heads.executed'),
    ring_from: count(o.ring_from, 'status.ring_from'),
  };
};

export const decodeMarkets = (value: Json): Market[] =>
  array(value, 'markets').map((item, i) => {
    const at = `markets[${i}]`;
    const o = object(item, at);
    const quote = object(o.quote, `${at}.quote`);
    return {
      market: count(o.market, `${at}.market`),
      name: text(o.name, `${at}.name`),
      base: text(object(o.base, `${at}.base`).name, `${at}.base.name`),
      quote: text(quote.name, `${at}.quote.name`),
      quote_decimals: count(quote.decimals, `${at}.quote.decimals`),
      tick: step(text(o.tick, `${at}.tick`)),
      lot: step(text(o.lot, `${at}.lot`)),
      status: text(o.status, `${at}.status`),
    };
  });

const decodeCandle = (value: Json, at: string): Candle => {
  const o = object(value, at);
  return {
    open_ms: count(o.open_ms, `${at}.open_ms`),
    open: asTicks(o.open, `${at}.open`),
    high: asTicks(o.high, `${at}.high`),
    low: asTicks(o.low, `${at}.low`),
    close: asTicks(o.close, `${at}.close`),
    lots: asLots(o.lots, `${at}.lots`),
    closed: o.closed === true,
  };
};
export const decodeCandles = (value: Json): Candle[] =>
  array(value, 'candles').map((item, i) => decodeCandle(item, `candles[${i}]`));

export interface Fill {
  readonly trade: number;
  readonly ticks: Ticks;
  readonly lots: Lots;
  readonly taker_side: Side;
}
const decodeFills = (value: Json): Fill[] =>
  array(value, 'trades').map((item, i) => {
    const at = `trades[${i}]`;
    const o = object(item, at);
    return {
      trade: count(o.trade, `${at}.trade`),
      ticks: asTicks(o.ticks, `${at}.ticks`),
      lots: asLots(o.lots, `${at}.lots`),
      taker_side: side(o.taker_side, `${at}.taker_side`),
    };
  });

export interface Depth {
  readonly bids: readonly Level[];
  readonly asks: readonly Level[];
  readonly crc: number;
}
const decodeLevels = (value: Json, path: string): Level[] =>
  array(value, path).map((item, i) => {
    const row = array(item, `${path}[${i}]`);
    return {
      ticks: asTicks(row[0], `${path}[${i}].ticks`),
      lots: asLots(row[1], `${path}[${i}].lots`),
      orders: count(row[2], `${path}[${i}].orders`),
    };
  });
const decodeDepth = (value: Json): Depth => {
  const o = object(value, 'depth');
  return { bids: decodeLevels(o.bids, 'depth.bids'), asks: decodeLevels(o.asks, 'depth.asks'), crc: count(o.crc, 'depth.crc') };
};

const decodeTicker = (value: Json): Ticker => {
  const o = object(value, 'ticker');
  return {
    open: asTicks(o.open, 'ticker.open'),
    high: asTicks(o.high, 'ticker.high'),
    low: asTicks(o.low, 'ticker.low'),
    last: asTicks(o.last, 'ticker.last'),
    lots: asLots(o.lots, 'ticker.lots'),
    quote_atoms: atoms(o.quote_atoms, 'ticker.quote_atoms'),
    trades: count(o.trades, 'ticker.trades'),
  };
};

/** The head of a numbered message. */
export interface Head {
  readonly sub: number;
  readonly type: 'snapshot' | 'update';
  readonly seq: number;
  readonly prev: number;
  readonly block: number;
  readonly time_ms: number;
}
export type Payload =
  | { readonly channel: 'blocks'; readonly txs: number; readonly gas_used: number }
  | { readonly channel: 'depth'; readonly depth: Depth }
  | { readonly channel: 'trades'; readonly fills: readonly Fill[] }
  | { readonly channel: 'candles'; readonly interval: Interval; readonly candle: Candle }
  | { readonly channel: 'ticker'; readonly ticker: Ticker };
export type Channel = Payload['channel'];
const CHANNELS: readonly string[] = ['blocks', 'depth', 'trades', 'candles', 'ticker'] satisfies readonly Channel[];

/** One frame of the websocket. */
export type Frame =
  | { readonly kind: 'ok'; readonly id: number; readonly sub: number | null }
  | {
      readonly kind: 'error';
      readonly id: number | null;
      readonly sub: number | null;
      readonly code: number;
      readonly message: string;
    }
  | { readonly kind: 'pong'; readonly id: number; readonly now_us: number; readonly block: number }
  | { readonly kind: 'data'; readonly head: Head; readonly payload: Payload }
  | { readonly kind: 'resumed'; readonly sub: number; readonly from: number }
  | { readonly kind: 'revert'; readonly sub: number; readonly seq: number; readonly block: number }
  /** A known channel in a shape we cannot read: the session treats it as a gap of that subscription. */
  | { readonly kind: 'bad'; readonly sub: number; readonly why: string }
  /** A channel or type this page does not know. */
  | { readonly kind: 'unknown' };

const decodePayload = (channel: Channel, data: Json): Payload => {
  switch (channel) {
    case 'blocks': {
      const o = object(data, 'blocks');
      return { channel, txs: count(o.txs, 'blocks.txs'), gas_used: count(o.gas_used, 'blocks.gas_used') };
    }
    case 'depth':
      return { channel, depth: decodeDepth(data) };
    case 'trades':
      return { channel, fills: decodeFills(data) };
    case 'candles':
      return {
        channel,
        interval: interval(object(data, 'candles').interval, 'candles.interval'),
        candle: decodeCandle(data, 'candles'),
      };
    case 'ticker':
      return { channel, ticker: decodeTicker(data) };
  }
};

const decodeReply = (o: Record<string, Json>): Frame => {
  switch (o.op) {
    case 'ok':
      return { kind: 'ok', id: count(o.id, 'ok.id'), sub: o.sub === undefined ? null : count(o.sub, 'ok.sub') };
    case 'pong':
      return {
        kind: 'pong',
        id: count(o.id, 'pong.id'),
        now_us: count(o.now_us, 'pong.now_us'),
        block: count(o.block, 'pong.block'),
      };
    case 'error':
      return {
        kind: 'error',
        id: typeof o.id === 'number' ? o.id : null,
        sub: typeof o.sub === 'number' ? o.sub : null,
        code: typeof o.code === 'number' ? o.code : 0,
        message: typeof o.message === 'string' && o.message !== '' ? o.message : String(o.reason ?? 'no reason given'),
      };
    default:
      return { kind: 'unknown' };
  }
};

/** Reads one frame. Throws `Malformed` only when not even the subscription can be read. */
export const decodeFrame = (raw: string): Frame => {
  let value: Json;
  try {
    value = JSON.parse(raw);
  } catch {
    return fail('frame', 'JSON', raw);
  }
  const o = object(value, 'frame');
  if (o.op !== undefined) return decodeReply(o);
  if (!CHANNELS.includes(o.channel as string)) return { kind: 'unknown' };
  const channel = o.channel as Channel;
  const sub = count(o.sub, `${channel}.sub`);
  try {
    if (o.type === 'resumed') return { kind: 'resumed', sub, from: count(o.from, `${channel}.from`) };
    const seq = count(o.seq, `${channel}.seq`);
    const block = count(o.block, `${channel}.block`);
    if (o.type === 'revert') return { kind: 'revert', sub, seq, block };
    if (o.type !== 'snapshot' && o.type !== 'update') return { kind: 'unknown' };
    // A trades snapshot has no meaning of its own: it is read as the fills it lists.
    const head: Head = {
      sub,
      type: o.type,
      seq,
      prev: count(o.prev, `${channel}.prev`),
      block,
      time_ms: count(o.time_ms, `${channel}.time_ms`),
    };
    return { kind: 'data', head, payload: decodePayload(channel, o.data) };
  } catch (error) {
    if (error instanceof RangeError || error instanceof Malformed) return { kind: 'bad', sub, why: error.message };
    throw error;
  }
};
