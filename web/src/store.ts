/**
 * The only door between the core and the views. Turns versions into signals once per painted frame, and intents into calls.
 * Imports Solid, so nothing below it does. Views know no socket and no chain: they read from here and write intents.
 */
import { batch, createSignal } from 'solid-js';
import { type ConnState, type Counters, type PaneName, Session } from './api/session.ts';
import type { LadderRow } from './state/book.ts';
import type { Candle, Interval } from './state/candles.ts';
import type { ChainFigures } from './state/chain.ts';
import type { Market, Ticker } from './state/market.ts';
import type { Trade } from './state/trades.ts';
import type { Ticks } from './units.ts';

export type PaneState = 'loading' | 'syncing' | 'live' | 'stale' | 'offline' | 'empty' | 'error';
export interface Pane {
  readonly state: PaneState;
  /** One sentence for the person; empty when live. */
  readonly words: string;
  /** Something a Retry button can hasten. */
  readonly retry: boolean;
}
export interface Conn {
  readonly state: ConnState;
  readonly cause: string;
  readonly round_trip_ms: number | null;
  readonly lag_ms: number | null;
  readonly retry_in_s: number | null;
}
export interface LadderRows {
  readonly market: Market;
  readonly seq: number;
  readonly block: number;
  readonly bids: readonly LadderRow[];
  readonly asks: readonly LadderRow[];
  /** Best ask minus best bid, ungrouped; null when a side is empty. */
  readonly spread: Ticks | null;
  readonly mid_x2: number | null;
}
export interface CandleRows {
  readonly market: Market;
  readonly interval: Interval;
  readonly generation: number;
  readonly rows: readonly Candle[];
}
export interface MarketRow {
  readonly market: Market;
  readonly ticker: Ticker | null;
}
export interface LadderShape {
  readonly rows: number;
  readonly group: number;
}
export interface Settings {
  readonly theme: 'dark' | 'light';
  readonly palette: 'green' | 'blue';
  readonly paint_hz: 10 | 20;
  readonly utc: boolean;
  readonly density: 'compact' | 'roomy';
}
export type Intent =
  | { readonly kind: 'select'; readonly name: string }
  | { readonly kind: 'interval'; readonly interval: Interval }
  | { readonly kind: 'ladder'; readonly shape: LadderShape }
  | { readonly kind: 'settings'; readonly change: Partial<Settings> }
  | { readonly kind: 'retry' };

export interface Store {
  readonly conn: () => Conn;
  readonly chain: () => ChainFigures | null;
  /** Name in the address; it may be of no market. */
  readonly name: () => string;
  readonly market: () => Market | null;
  readonly ticker: () => Ticker | null;
  readonly markets: () => readonly MarketRow[];
  readonly ladder: () => LadderRows | null;
  readonly trades: () => readonly Trade[];
  readonly candles: () => CandleRows | null;
  readonly interval: () => Interval;
  readonly pane: (name: PaneName) => Pane;
  readonly settings: () => Settings;
  readonly counters: () => Counters;
  readonly version: () => string;
  readonly intend: (intent: Intent) => void;
}

const SETTINGS_KEY = 'hifi.settings';
const usual = (): Settings => ({
  theme: window.matchMedia('(prefers-color-scheme: light)').matches ? 'light' : 'dark',
  palette: 'green',
  paint_hz: 10,
  utc: false,
  density: 'compact',
});
/** Settings are a convenience: a browser that keeps nothing, or kept nonsense, gets the usual ones. */
const kept = (): Settings => {
  try {
    const value: unknown = JSON.parse(localStorage.getItem(SETTINGS_KEY) ?? '{}');
    return typeof value === 'object' && value !== null ? { ...usual(), ...(value as Partial<Settings>) } : usual();
  } catch {
    return usual();
  }
};
const keep = (settings: Settings): void => {
  try {
    localStorage.setItem(SETTINGS_KEY, JSON.stringify(settings));
  } catch {
    // Private windows may refuse storage; the choice then lasts as long as the page.
  }
};

const WAITING: Readonly<Record<PaneName, string>> = { chart: 'candles', ladder: 'the book', trades: 'trades', chain: 'blocks' };

/** What a pane says, from the connection, its own trouble and whether it has something to show. */
const paneOf = (session: Session, name: PaneName): Pane => {
  const pane = (state: PaneState, words = '', retry = false): Pane => ({ state, words, retry });
  if (session.markets.length > 0 && session.market === null && name !== 'chain') {
    return pane(
      'error',
      `There is no market ${session.wanted_name}. Choose one of ${session.markets.map((m) => m.name).join(', ')}.`,
    );
  }
  const trouble = session.troubles.get(name);
  if (trouble !== undefined)
    return pane('error', `${trouble.words}. The operator of this server can mend it; the page tries again by itself.`, true);
  if (session.state === 'offline') return pane('offline', session.cause === '' ? 'no connection' : session.cause, true);
  const known =
    name === 'chart'
      ? session.candles_known
      : name === 'ladder'
        ? session.book !== null
        : name === 'trades'
          ? session.trades_known
          : session.chain.last !== null;
  // A book that was dropped is being asked for again: its last rows stay, dimmed.
  if (name === 'ladder' && !known && session.book_seq > 0) return pane('syncing');
  if (!known)
    return session.state === 'live' || session.state === 'connecting' || session.state === 'syncing'
      ? pane('loading', `waiting for ${WAITING[name]}`)
      : pane('syncing');
  if (session.state === 'stale') return pane('stale', session.cause);
  if (session.state !== 'live') return pane('syncing');
  if (name === 'ladder' && session.book?.count('bid') === 0 && session.book.count('ask') === 0) {
    return pane('empty', 'The book is empty. The first order to rest here makes the price.');
  }
  if (name === 'trades' && session.trades.last === null)
    return pane('empty', 'No trades in the last minutes. They appear here as they happen.');
  if (name === 'chart' && session.candles.last === null)
    return pane('empty', 'No candles yet. The first trade of this market starts the chart.');
  return pane('live');
};

export const createStore = (): Store => {
  const [settings, setSettings] = createSignal<Settings>(kept());
  const [conn, setConn] = createSignal<Conn>({
    state: 'connecting',
    cause: '',
    round_trip_ms: null,
    lag_ms: null,
    retry_in_s: null,
  });
  const [chain, setChain] = createSignal<ChainFigures | null>(null);
  const [name, setName] = createSignal('');
  const [market, setMarket] = createSignal<Market | null>(null);
  const [markets, setMarkets] = createSignal<readonly MarketRow[]>([]);
  const [ladder, setLadder] = createSignal<LadderRows | null>(null);
  const [trades, setTrades] = createSignal<readonly Trade[]>([]);
  const [candles, setCandles] = createSignal<CandleRows | null>(null);
  const [interval, setInterval] = createSignal<Interval>('1m');
  const [version, setVersion] = createSignal('');
  const same = (a: Pane, b: Pane): boolean => a.state === b.state && a.words === b.words && a.retry === b.retry;
  const panes = Object.fromEntries(
    (['chart', 'ladder', 'trades', 'chain'] as const).map((key) => [
      key,
      createSignal<Pane>({ state: 'loading', words: `waiting for ${WAITING[key]}`, retry: false }, { equals: same }),
    ]),
  ) as unknown as Record<PaneName, [() => Pane, (pane: Pane) => Pane]>;

  let shape: LadderShape = { rows: 17, group: 1 };
  let shape_changed = false;
  const painted = { book: -1, trades: -1, candles: -1, chain: -1, markets: -1, conn: -1 };
  let planned = false;
  let last_paint_ms = 0;

  const readLadder = (): LadderRows | null => {
    const { book, market: shown } = session;
    if (book === null || shown === null) return null;
    const bid = book.best('bid');
    const ask = book.best('ask');
    const both = bid !== null && ask !== null;
    return {
      market: shown,
      seq: session.book_seq,
      block: session.book_block,
      bids: book.rows('bid', shape.group, shape.rows),
      asks: book.rows('ask', shape.group, shape.rows),
      spread: both ? ((ask.ticks - bid.ticks) as Ticks) : null,
      mid_x2: both ? ask.ticks + bid.ticks : null,
    };
  };

  /** True when the piece changed since it was last painted. */
  const turned = (piece: keyof typeof painted): boolean => {
    const turned = painted[piece] !== session.versions[piece];
    painted[piece] = session.versions[piece];
    return turned;
  };

  const paint = (): void => {
    planned = false;
    last_paint_ms = performance.now();
    batch(() => {
      if (turned('markets')) {
        setName(session.wanted_name);
        setMarket(session.market);
        setMarkets(session.markets.map((m) => ({ market: m, ticker: session.tickers.get(m.market) ?? null })));
        setVersion(session.config?.version ?? '');
      }
      const book_turned = turned('book');
      if (book_turned || shape_changed) {
        shape_changed = false;
        // A dropped book leaves its last rows on the screen, dimmed by the pane's state, until the next one is here.
        const rows = readLadder();
        if (rows !== null || ladder()?.market !== session.market) setLadder(rows);
      }
      if (turned('trades')) setTrades(session.trades.rows().slice());
      if (turned('candles')) {
        setInterval(session.candles.interval);
        setCandles(
          session.market === null || !session.candles_known
            ? null
            : {
                market: session.market,
                interval: session.candles.interval,
                generation: session.candles.generation,
                rows: session.candles.rows(),
              },
        );
      }
      const chain_turned = turned('chain');
      if (chain_turned) setChain(session.chain.figures());
      if (turned('conn') || chain_turned) {
        setConn({
          state: session.state,
          cause: session.cause,
          round_trip_ms: session.round_trip_ms,
          lag_ms: session.lag_ms,
          retry_in_s: session.retry_at_ms === null ? null : Math.max(0, Math.ceil((session.retry_at_ms - Date.now()) / 1000)),
        });
      }
      for (const key of ['chart', 'ladder', 'trades', 'chain'] as const) panes[key][1](paneOf(session, key));
    });
  };

  /** One paint per animation frame, at most `paint_hz` a second; a hidden tab applies and paints when it is looked at. */
  const changed = (): void => {
    if (planned) return;
    planned = true;
    const wait_ms = 1000 / settings().paint_hz - (performance.now() - last_paint_ms) - 8;
    const frame = (): void => void requestAnimationFrame(paint);
    if (wait_ms > 0) setTimeout(frame, wait_ms);
    else frame();
  };

  const session = new Session(changed);
  const intend = (intent: Intent): void => {
    switch (intent.kind) {
      case 'select':
        return session.select(intent.name);
      case 'interval':
        return session.chooseInterval(intent.interval);
      case 'ladder':
        if (intent.shape.rows === shape.rows && intent.shape.group === shape.group) return;
        shape = intent.shape;
        shape_changed = true;
        return changed();
      case 'settings': {
        const next = { ...settings(), ...intent.change };
        keep(next);
        setSettings(next);
        return changed();
      }
      case 'retry':
        return session.retry();
    }
  };
  session.start();
  return {
    conn,
    chain,
    name,
    market,
    ticker: () => {
      const shown = market();
      return shown === null ? null : (markets().find((row) => row.market.market === shown.market)?.ticker ?? null);
    },
    markets,
    ladder,
    trades,
    candles,
    interval,
    pane: (key) => panes[key][0](),
    settings,
    counters: () => {
      conn();
      return { ...session.counters };
    },
    version,
    intend,
  };
};
