/** Market, last price and the figures of 24 hours. Figures are dropped by width, never clipped. */
import { createEffect, createMemo, createSignal, type JSX } from 'solid-js';
import type { Store } from '../store.ts';
import { formatAtoms, formatGrouped, formatShort, percent } from '../units.ts';
import { MarketMenu } from './MarketMenu.tsx';
import { SettingsDialog } from './Settings.tsx';
import './Header.css';

const Figure = (props: { label: string; drop: number; children: JSX.Element; width: number }) => (
  <div class={`figure drop-${props.drop}`}>
    <dt>{props.label}</dt>
    <dd class={`num w${props.width}`}>{props.children}</dd>
  </div>
);

export const Header = (props: { store: Store }) => {
  const { store } = props;
  const [choosing, setChoosing] = createSignal(false);
  const [setting, setSetting] = createSignal(false);
  const last = () => store.trades()[0]?.ticks ?? store.ticker()?.last ?? null;
  /** +1 after a rise, -1 after a fall; a trade at the same price keeps the direction. */
  const moved = createMemo<{ market: string; ticks: number | null; way: number }>(
    (was) => {
      const market = store.market()?.name ?? '';
      const now = last();
      if (market !== was.market || was.ticks === null || now === null) return { market, ticks: now, way: 0 };
      return now === was.ticks ? was : { market, ticks: now, way: now > was.ticks ? 1 : -1 };
    },
    { market: '', ticks: null, way: 0 },
  );
  const price = createMemo(() => {
    const market = store.market();
    const ticks = last();
    return market === null || ticks === null ? '' : formatGrouped(ticks, market.tick);
  });
  const change = () => {
    const ticker = store.ticker();
    return ticker === null ? '-' : percent(ticker.open, last() ?? ticker.last);
  };
  const way = () => (change().startsWith('+') ? 'up' : change().startsWith('-') && change().length > 1 ? 'down' : '');
  const of24 = (read: 'high' | 'low') => {
    const market = store.market();
    const ticker = store.ticker();
    return market === null || ticker === null ? '-' : formatGrouped(ticker[read], market.tick);
  };
  const base = () => {
    const market = store.market();
    const ticker = store.ticker();
    return market === null || ticker === null ? '-' : formatShort(ticker.lots, market.lot, 2);
  };
  const quote = () => {
    const market = store.market();
    const ticker = store.ticker();
    return market === null || ticker === null ? '-' : formatAtoms(ticker.quote_atoms, market.quote_decimals, 0);
  };
  createEffect(() => {
    document.title =
      price() === ''
        ? `${store.name() === '' ? '' : `${store.name()} · `}hifi`
        : `${price()} ${store.market()?.name ?? ''} · hifi`;
  });
  return (
    <header class="head">
      <a class="brand" href="/" aria-label="hifi, first market">
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <g stroke-linecap="round" stroke-width="2.4">
            <path class="stroke-ask" d="M4 9.5v5" />
            <path class="stroke-bid" d="M9 5v14" />
            <path class="stroke-bid" d="M14 8v7" />
            <path class="stroke-ask" d="M19 10.5v7.5" />
          </g>
        </svg>
        <span>hifi</span>
      </a>
      <h1 class="sr">{store.market()?.name ?? 'Market'}: price, order book and trades</h1>
      <button type="button" class="market-button" aria-haspopup="dialog" onClick={() => setChoosing(true)}>
        <span class="market-name">{store.market()?.name ?? (store.name() === '' ? '...' : store.name())}</span>
        <svg viewBox="0 0 12 12" aria-hidden="true">
          <path
            d="M2.5 4.5 6 8l3.5-3.5"
            fill="none"
            stroke="currentColor"
            stroke-width="1.5"
            stroke-linecap="round"
            stroke-linejoin="round"
          />
        </svg>
      </button>
      <div class="last num" data-way={moved().way} data-testid="last">
        <span class="last-price">{price() === '' ? '-' : price()}</span>
        <span class="last-arrow" aria-hidden="true">
          {moved().way > 0 ? '▲' : moved().way < 0 ? '▼' : ''}
        </span>
      </div>
      <dl class="figures">
        <Figure label="24h change" drop={0} width={8}>
          <span class={way()}>{change()}</span>
        </Figure>
        <Figure label="24h high" drop={1} width={10}>
          {of24('high')}
        </Figure>
        <Figure label="24h low" drop={1} width={10}>
          {of24('low')}
        </Figure>
        <Figure label={`24h volume ${store.market()?.base ?? ''}`} drop={2} width={12}>
          {base()}
        </Figure>
        <Figure label={`24h volume ${store.market()?.quote ?? ''}`} drop={3} width={14}>
          {quote()}
        </Figure>
      </dl>
      <button type="button" class="icon-button" aria-label="Settings" aria-haspopup="dialog" onClick={() => setSetting(true)}>
        <svg viewBox="0 0 20 20" aria-hidden="true">
          <g fill="none" stroke="currentColor" stroke-width="1.5" stroke-linecap="round">
            <path d="M3 6h8M15 6h2M3 14h2M9 14h8" />
            <circle cx="13" cy="6" r="2" />
            <circle cx="7" cy="14" r="2" />
          </g>
        </svg>
      </button>
      <MarketMenu store={store} open={choosing()} close={() => setChoosing(false)} />
      <SettingsDialog store={store} open={setting()} close={() => setSetting(false)} />
    </header>
  );
};
