/**
 * The conversation with the api: what is subscribed, what is missing, when to begin again. Framework-free.
 *
 *   boot (config, status, markets) -> socket -> subscriptions -> Book, Trades, Candles, Chain, tickers
 *
 * Owned by `store.ts`, which is told by `changed()` that something moved and reads the pieces at the next paint.
 * Never shows a guess: a book whose checksum or order is wrong is dropped before anybody can see it.
 */
import type { Config } from '../config.ts';
import { Book } from '../state/book.ts';
import { type Candle, Candles, INTERVAL_MS, type Interval } from '../state/candles.ts';
import { Chain } from '../state/chain.ts';
import { findMarket, type Market, type Ticker } from '../state/market.ts';
import { advance, blockOf, judge, SEQ_PER_BLOCK, type Seen } from '../state/sequence.ts';
import { Trades } from '../state/trades.ts';
import { fetchCandles, fetchConfig, fetchMarkets, fetchStatus } from './rest.ts';
import type { Channel, Frame, Head, Payload } from './schema.ts';
import { Socket } from './socket.ts';

export type ConnState = 'connecting' | 'syncing' | 'live' | 'stale' | 'reconnecting' | 'offline';
export type PaneName = 'chart' | 'ladder' | 'trades' | 'chain';
/** A part of the feed that cannot go on by itself for now. */
export interface Trouble {
  readonly words: string;
  readonly retry_at_ms: number;
}
/** What went wrong and was mended, for the curious (Settings). */
export interface Counters {
  ignored: number;
  gaps: number;
  failed_checks: number;
  reconnects: number;
}

const TICK_MS = 250;
const OFFLINE_AFTER_MS = 10_000;
const STALE_FLOOR_MS = 1_800;
const CHECKS_WINDOW_MS = 60_000;
const CHECKS_MOST = 3;
const TROUBLE_RETRY_MS = 30_000;
const BUSY_RETRY_MS = 1_000;
const BUSY_TROUBLE_MS = 30_000;
/** The selector shows live prices of at most so many markets. */
const TICKERS_MOST = 32;
/** Blocks asked again at the start, so that the page opens with figures and trades instead of blanks. */
const BLOCKS_BACK = 60;
const TRADES_BACK = 3_000;
/** A chain with fewer minutes than this is shown in seconds, until somebody chooses: two candles say nothing. */
const YOUNG_CANDLES = 20;
/** Candles of the feed kept while their history is on its way. */
const EARLY_CANDLES_MOST = 100;

interface Subscription {
  readonly key: string;
  readonly channel: Channel;
  readonly market: number | null;
  readonly interval: Interval | null;
  readonly seen: Seen;
  /** Number of the request that waits for its answer. */
  asked: number | null;
  /** Number the server gave it. */
  sub: number | null;
  busy_since_ms: number | null;
}
/** Channels in which the server may leave intermediate values out. */
const conflated = (channel: Channel): boolean => channel === 'ticker' || channel === 'candles';

export class Session {
  config: Config | null = null;
  markets: readonly Market[] = [];
  market: Market | null = null;
  /** Name in the address; kept while the markets are not known yet. */
  wanted_name = '';
  book: Book | null = null;
  book_seq = 0;
  book_block = 0;
  readonly trades = new Trades();
  /** The trades subscription is answered: no row means that there was no trade. */
  trades_known = false;
  candles = new Candles('1m');
  candles_known = false;
  readonly chain = new Chain();
  readonly tickers = new Map<number, Ticker>();
  readonly counters: Counters = { ignored: 0, gaps: 0, failed_checks: 0, reconnects: 0 };
  readonly troubles = new Map<PaneName, Trouble>();
  state: ConnState = 'connecting';
  /** Why it is not live, in words; empty when it is. */
  cause = '';
  /** Age of the last block when it reached us, by the server's clock, in ms. */
  lag_ms: number | null = null;
  retry_at_ms: number | null = null;
  /** Rise when the piece changed. */
  readonly versions = { book: 0, trades: 0, candles: 0, chain: 0, markets: 0, conn: 0 };

  readonly #changed: () => void;
  #socket: Socket | null = null;
  #subscriptions = new Map<string, Subscription>();
  #by_sub = new Map<number, Subscription>();
  #by_id = new Map<number, Subscription>();
  #ring_from = 0;
  #executed = 0;
  #last_block_at_ms = 0;
  #down_since_ms = Date.now();
  #boot_tries = 0;
  #failed_checks: number[] = [];
  #candles_asked = 0;
  #early_candles: Candle[] = [];
  /** Nobody has chosen an interval yet. */
  #interval_is_ours = true;

  constructor(changed: () => void) {
    this.#changed = changed;
  }

  start(): void {
    void this.#boot();
    setInterval(() => this.#tick(Date.now()), TICK_MS);
    window.addEventListener('offline', () => this.#tick(Date.now()));
    window.addEventListener('online', () => this.retry());
  }

  /** Tries at once what waits for its next try. */
  retry(): void {
    if (this.#socket === null) {
      if (this.retry_at_ms !== null) this.retry_at_ms = Date.now();
    } else if (!this.#socket.figures.open) this.#socket.connect();
    for (const pane of [...this.troubles.keys()]) this.#mend(pane);
    this.#tick(Date.now());
  }

  get round_trip_ms(): number | null {
    return this.#socket?.figures.round_trip_ms ?? null;
  }

  /** Shows another market; its data starts from nothing. Names the page does not know yet are remembered. */
  select(name: string): void {
    this.wanted_name = name;
    const market = findMarket(this.markets, name);
    if (market !== null && market.market === this.market?.market) return;
    for (const sub of [...this.#subscriptions.values()]) if (sub.market !== null && sub.channel !== 'ticker') this.#leave(sub);
    this.market = market;
    this.book = null;
    this.book_seq = 0;
    this.trades.clear();
    this.trades_known = false;
    this.candles = new Candles(this.candles.interval);
    this.#early_candles = [];
    this.candles_known = false;
    this.troubles.clear();
    this.#failed_checks = [];
    this.#touch('markets', 'book', 'trades', 'candles');
    if (market === null) return;
    this.#enter('depth', market.market, null);
    this.#enter('trades', market.market, null);
    this.#enter('candles', market.market, this.candles.interval);
    void this.#loadCandles();
  }

  chooseInterval(interval: Interval): void {
    this.#interval_is_ours = false;
    if (interval !== this.candles.interval) this.#showInterval(interval);
  }

  #showInterval(interval: Interval): void {
    for (const sub of [...this.#subscriptions.values()]) if (sub.channel === 'candles') this.#leave(sub);
    this.candles = new Candles(interval);
    this.#early_candles = [];
    this.candles_known = false;
    this.troubles.delete('chart');
    this.#touch('candles');
    if (this.market === null) return;
    this.#enter('candles', this.market.market, interval);
    void this.#loadCandles();
  }

  // ---- start -------------------------------------------------------------------------------------------------

  async #boot(): Promise<void> {
    for (;;) {
      try {
        const [config, status, markets] = await Promise.all([fetchConfig(), fetchStatus(), fetchMarkets()]);
        // A chain in its first second: the markets are on their way.
        if (markets.length === 0) throw new Error('no market has been created yet');
        this.config = config;
        this.#executed = status.executed;
        this.#ring_from = status.ring_from;
        this.markets = markets;
        this.#touch('markets', 'conn');
        break;
      } catch (error) {
        this.cause = error instanceof Error ? error.message : 'the server does not answer';
        const wait_ms = Math.min(250 * 2 ** this.#boot_tries++, 10_000);
        this.retry_at_ms = Date.now() + wait_ms;
        this.#touch('conn');
        while (this.retry_at_ms > Date.now()) await new Promise((done) => setTimeout(done, 100));
      }
    }
    this.retry_at_ms = null;
    this.cause = '';
    const url = new URL(this.config?.ws ?? '/v1/ws', location.href);
    url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
    this.#socket = new Socket(url.href, {
      opened: () => this.#opened(),
      frame: (frame) => this.#frame(frame),
      undecodable: () => {
        this.counters.ignored++;
      },
      closed: (why, slow_seq) => this.#closed(why, slow_seq),
    });
    this.#enter('blocks', null, null);
    for (const market of this.markets.slice(0, TICKERS_MOST)) this.#enter('ticker', market.market, null);
    const first = this.markets[0];
    this.select(this.wanted_name === '' && first !== undefined ? first.name : this.wanted_name);
    this.#socket.connect();
  }

  #opened(): void {
    this.cause = '';
    for (const sub of this.#subscriptions.values()) this.#ask(sub, this.#from(sub));
    // While we were away the feed may have closed candles we never saw.
    if (this.candles_known) void this.#loadCandles();
    this.#touch('conn');
  }

  #closed(why: string, slow_seq: number | null): void {
    this.cause = why;
    this.counters.reconnects++;
    this.#by_sub.clear();
    this.#by_id.clear();
    for (const sub of this.#subscriptions.values()) {
      sub.sub = null;
      sub.asked = null;
      if (slow_seq !== null && sub.seen.seq > slow_seq) this.counters.ignored++;
    }
    this.#tick(Date.now());
    this.#touch('conn');
  }

  // ---- subscriptions -----------------------------------------------------------------------------------------

  #enter(channel: Channel, market: number | null, interval: Interval | null): void {
    const key = `${channel}/${market ?? ''}/${interval ?? ''}`;
    if (this.#subscriptions.has(key)) return;
    const sub: Subscription = {
      key,
      channel,
      market,
      interval,
      seen: { seq: -1, open: true },
      asked: null,
      sub: null,
      busy_since_ms: null,
    };
    this.#subscriptions.set(key, sub);
    this.#ask(sub, this.#from(sub));
  }

  #leave(sub: Subscription): void {
    this.#subscriptions.delete(sub.key);
    this.#quit(sub);
  }

  /** Ends the server's side of it; messages still on their way are ignored, their number is unknown from now on. */
  #quit(sub: Subscription): void {
    if (sub.asked !== null) this.#by_id.delete(sub.asked);
    if (sub.sub !== null) {
      this.#by_sub.delete(sub.sub);
      this.#socket?.send({ op: 'unsub', id: this.#socket.nextId(), sub: sub.sub });
    }
    sub.asked = null;
    sub.sub = null;
  }

  /** First sequence number wanted: after what was seen, or a little back for what has no snapshot. */
  #from(sub: Subscription): number | null {
    if (conflated(sub.channel)) return null;
    if (sub.seen.seq >= 0) return sub.channel === 'depth' && this.book === null ? null : sub.seen.seq + 1;
    const back = sub.channel === 'blocks' ? BLOCKS_BACK : sub.channel === 'trades' ? TRADES_BACK : null;
    if (back === null) return null;
    const head = this.chain.last?.block ?? this.#executed;
    return Math.max(this.#ring_from, head - back, 1) * SEQ_PER_BLOCK;
  }

  #ask(sub: Subscription, from: number | null): void {
    const socket = this.#socket;
    if (socket === null || !socket.figures.open) return;
    this.#quit(sub);
    sub.seen.open = true;
    if (from === null) sub.seen.seq = -1;
    sub.asked = socket.nextId();
    this.#by_id.set(sub.asked, sub);
    socket.send({
      op: 'sub',
      id: sub.asked,
      channel: sub.channel,
      ...(sub.market === null ? {} : { market: sub.market }),
      ...(sub.interval === null ? {} : { interval: sub.interval }),
      ...(sub.channel === 'blocks' ? { records: false } : {}),
      ...(from === null ? {} : { from }),
    });
  }

  /** Something between was lost: begin again at the last sure point. */
  #gap(sub: Subscription): void {
    this.counters.gaps++;
    if (sub.channel === 'depth') this.#dropBook();
    this.#ask(sub, this.#from(sub));
  }

  #dropBook(): void {
    this.book = null;
    this.#touch('book');
  }

  // ---- frames ------------------------------------------------------------------------------------------------

  #frame(frame: Frame): void {
    switch (frame.kind) {
      case 'ok': {
        const sub = this.#by_id.get(frame.id);
        if (sub === undefined || frame.sub === null) return;
        this.#by_id.delete(frame.id);
        this.#by_sub.set(frame.sub, sub);
        sub.asked = null;
        sub.sub = frame.sub;
        sub.busy_since_ms = null;
        return;
      }
      case 'error':
        return this.#refused(frame.id, frame.sub, frame.code, frame.message);
      case 'pong':
        return this.#touch('conn');
      case 'bad': {
        const sub = this.#by_sub.get(frame.sub);
        if (sub === undefined) return;
        if (sub.channel === 'depth') this.#failedCheck(sub, frame.why);
        else this.#gap(sub);
        return;
      }
      case 'revert':
        return this.#revert(frame.sub, frame.seq, frame.block);
      case 'data':
        return this.#data(frame.head, frame.payload);
      case 'resumed':
        return;
      case 'unknown':
        this.counters.ignored++;
    }
  }

  /** `number`: a subscription the server ended by itself, because it fell behind what the server still holds. */
  #refused(id: number | null, number: number | null, code: number, message: string): void {
    const sub = id !== null ? this.#by_id.get(id) : number !== null ? this.#by_sub.get(number) : undefined;
    if (sub === undefined) return;
    const now_ms = Date.now();
    if (id !== null) this.#by_id.delete(id);
    if (number !== null) this.#by_sub.delete(number);
    sub.asked = null;
    sub.sub = null;
    if (code === -4100) {
      // What we wanted is no longer held; the answer names the first number that is.
      const held = /\d{7,16}/.exec(message);
      if (sub.channel === 'trades') this.trades.clear();
      sub.seen.seq = -1;
      this.#ask(sub, held !== null && sub.channel !== 'depth' ? Number(held[0]) + SEQ_PER_BLOCK : null);
      return;
    }
    const pane =
      sub.channel === 'depth' ? 'ladder' : sub.channel === 'trades' ? 'trades' : sub.channel === 'candles' ? 'chart' : 'chain';
    sub.busy_since_ms ??= now_ms;
    const patient = code === -1008 && now_ms - sub.busy_since_ms < BUSY_TROUBLE_MS;
    if (!patient) this.#trouble(pane, `the server refused: ${message}`);
    else
      setTimeout(
        () => sub.sub === null && sub.asked === null && this.#alive(sub) && this.#ask(sub, this.#from(sub)),
        BUSY_RETRY_MS,
      );
  }

  #alive(sub: Subscription): boolean {
    return this.#subscriptions.get(sub.key) === sub;
  }

  #data(head: Head, payload: Payload): void {
    const sub = this.#by_sub.get(head.sub);
    if (sub === undefined || sub.channel !== payload.channel) {
      this.counters.ignored++;
      return;
    }
    const verdict = judge(sub.seen, head, conflated(payload.channel));
    if (verdict === 'ignore') {
      this.counters.ignored++;
      return;
    }
    if (verdict === 'gap') return this.#gap(sub);
    advance(sub.seen, head);
    this.#apply(sub, head, payload);
  }

  #apply(sub: Subscription, head: Head, payload: Payload): void {
    switch (payload.channel) {
      case 'blocks':
        this.#last_block_at_ms = Date.now();
        this.chain.add({ block: head.block, time_ms: head.time_ms, txs: payload.txs, gas_used: payload.gas_used });
        this.lag_ms = Math.max(0, Date.now() + (this.#socket?.figures.clock_ms ?? 0) - head.time_ms);
        if (this.state !== 'live') this.#tick(Date.now());
        return this.#touch('chain');
      case 'depth': {
        const fresh = head.type === 'snapshot' || this.book === null;
        if (fresh && head.type !== 'snapshot') return this.#gap(sub);
        const book = fresh ? new Book() : (this.book as Book);
        for (const level of payload.depth.bids) book.put('bid', level);
        for (const level of payload.depth.asks) book.put('ask', level);
        if (book.crossed()) return this.#failedCheck(sub, 'the book read from the feed is crossed');
        const crc = book.crc();
        if (crc !== payload.depth.crc) return this.#failedCheck(sub, `checksum expected ${payload.depth.crc}, found ${crc}`);
        this.book = book;
        this.book_seq = head.seq;
        this.book_block = blockOf(head.seq);
        this.troubles.delete('ladder');
        return this.#touch('book');
      }
      case 'trades':
        this.trades.add(payload.fills.map((fill) => ({ ...fill, time_ms: head.time_ms, block: head.block, seq: head.seq })));
        return this.#touch('trades');
      case 'candles':
        if (payload.interval === this.candles.interval) this.#candle(payload.candle);
        return;
      case 'ticker':
        if (sub.market !== null) this.tickers.set(sub.market, payload.ticker);
        return this.#touch('markets');
    }
  }

  /** A wrong book is never painted. The third within a minute is a trouble somebody should see. */
  #failedCheck(sub: Subscription, why: string): void {
    const now_ms = Date.now();
    this.counters.failed_checks++;
    this.#failed_checks = [...this.#failed_checks.filter((at) => now_ms - at < CHECKS_WINDOW_MS), now_ms];
    this.#dropBook();
    if (this.#failed_checks.length < CHECKS_MOST) return this.#ask(sub, null);
    this.#quit(sub);
    this.#trouble('ladder', `${this.#failed_checks.length} books in a minute failed their check (${why})`);
  }

  #trouble(pane: PaneName, words: string): void {
    this.troubles.set(pane, { words, retry_at_ms: Date.now() + TROUBLE_RETRY_MS });
    this.#touch('conn');
  }

  /** Asks again for what a pane in trouble needs. */
  #mend(pane: PaneName): void {
    const channel: Channel = pane === 'ladder' ? 'depth' : pane === 'trades' ? 'trades' : pane === 'chart' ? 'candles' : 'blocks';
    this.troubles.delete(pane);
    for (const sub of this.#subscriptions.values()) {
      if (sub.channel === channel && sub.sub === null && sub.asked === null)
        this.#ask(sub, channel === 'depth' ? null : this.#from(sub));
    }
    if (pane === 'chart') void this.#loadCandles();
    this.#touch('conn');
  }

  #revert(number: number, seq: number, block: number): void {
    const sub = this.#by_sub.get(number);
    if (sub === undefined) return;
    sub.seen.seq = Math.min(sub.seen.seq, seq);
    sub.seen.open = true;
    if (sub.channel === 'depth') this.#dropBook();
    if (sub.channel === 'trades') this.trades.revert(seq);
    if (sub.channel === 'blocks') this.chain.revert(block);
    if (sub.channel === 'candles') {
      // What is held contains trades that are no more; candles only grow, so begin anew.
      this.candles = new Candles(this.candles.interval);
      this.candles_known = false;
      this.#touch('candles');
      void this.#loadCandles();
    }
    this.#touch('trades', 'chain');
  }

  // ---- candles -----------------------------------------------------------------------------------------------

  #candle(candle: Candle): void {
    // Before the history is here a candle could only start a chart with a hole: it waits.
    if (!this.candles_known) {
      this.#early_candles.push(candle);
      if (this.#early_candles.length > EARLY_CANDLES_MOST) this.#early_candles.shift();
      return;
    }
    const verdict = this.candles.apply(candle);
    if (verdict === 'skipped') void this.#loadCandles();
    else this.#touch('candles');
  }

  async #loadCandles(): Promise<void> {
    const market = this.market;
    const candles = this.candles;
    if (market === null) return;
    const turn = ++this.#candles_asked;
    const now_ms = Math.max(this.chain.last?.time_ms ?? 0, Date.now() + (this.#socket?.figures.clock_ms ?? 0));
    try {
      const rows = await fetchCandles(market.market, candles.interval, now_ms);
      if (turn !== this.#candles_asked || candles !== this.candles) return;
      if (this.#interval_is_ours && candles.interval === '1m' && rows.length < YOUNG_CANDLES) return this.#showInterval('1s');
      candles.load(rows);
      for (const early of this.#early_candles.splice(0)) candles.apply(early);
      this.candles_known = true;
      this.troubles.delete('chart');
      this.#touch('candles', 'conn');
    } catch (error) {
      if (turn !== this.#candles_asked) return;
      // With candles on the screen the next reconnect or skipped interval tries again by itself.
      if (!this.candles_known) this.#trouble('chart', error instanceof Error ? error.message : 'no candles');
    }
  }

  // ---- time --------------------------------------------------------------------------------------------------

  #tick(now_ms: number): void {
    const before = `${this.state} ${this.cause}`;
    const socket = this.#socket;
    const open = socket?.figures.open ?? false;
    if (open) this.#down_since_ms = now_ms;
    if (socket !== null) this.retry_at_ms = socket.figures.retry_at_ms;
    if (!navigator.onLine) {
      this.state = 'offline';
      this.cause = 'the browser is offline';
    } else if (!open) {
      const long = now_ms - this.#down_since_ms >= OFFLINE_AFTER_MS;
      this.state = long ? 'offline' : this.#last_block_at_ms === 0 ? 'connecting' : 'reconnecting';
    } else this.#judgeFeed(now_ms, socket as Socket);
    for (const [pane, trouble] of this.troubles) if (now_ms >= trouble.retry_at_ms && open) this.#mend(pane);
    if (!this.trades_known && this.state === 'live' && this.#settled('trades')) {
      this.trades_known = true;
      this.#touch('trades');
    }
    if (`${this.state} ${this.cause}` !== before || this.state !== 'live') this.#touch('conn');
  }

  #settled(channel: Channel): boolean {
    for (const sub of this.#subscriptions.values()) if (sub.channel === channel) return sub.sub !== null;
    return false;
  }

  /** The socket is open: is the feed moving? */
  #judgeFeed(now_ms: number, socket: Socket): void {
    const silent_ms = now_ms - this.#last_block_at_ms;
    if (silent_ms > Math.max(STALE_FLOOR_MS, 3 * this.chain.median())) {
      if (this.#last_block_at_ms === 0) {
        this.state = 'syncing';
        return;
      }
      if (this.state !== 'stale') socket.probe();
      this.state = 'stale';
      this.cause = socket.figures.last_pong_at_ms > this.#last_block_at_ms ? 'chain paused' : 'no answer';
      return;
    }
    const waits = this.market !== null && this.book === null && !this.troubles.has('ladder');
    this.state = waits ? 'syncing' : 'live';
    this.cause = '';
  }

  #touch(...pieces: (keyof Session['versions'])[]): void {
    for (const piece of pieces) this.versions[piece]++;
    this.#changed();
  }

  /** Length of the chosen interval in ms, for the countdown of the open candle. */
  get interval_ms(): number {
    return INTERVAL_MS[this.candles.interval];
  }
}
