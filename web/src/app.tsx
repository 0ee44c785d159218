/** Routes and layout. `/` and `/trade/{market}` are the market page; everything else says so and leads back. */
import { createEffect, createSignal, For, Match, onCleanup, Show, Switch } from 'solid-js';
import './styles/layout.css';
import type { Store } from './store.ts';
import { ChainPanel, ChainStrip } from './views/ChainStrip.tsx';
import { Chart } from './views/Chart.tsx';
import { Footer } from './views/Footer.tsx';
import { Header } from './views/Header.tsx';
import { Ladder } from './views/Ladder.tsx';
import { Trades } from './views/Trades.tsx';

export type Layout = 'desk' | 'tablet' | 'phone';
const PHONE_TABS = ['Chart', 'Book', 'Trades', 'Chain'] as const;
type PhoneTab = (typeof PHONE_TABS)[number];

/** Market name in the address; "" for the first market, null for an address that is no market page. */
const marketOf = (path: string): string | null => {
  if (path === '/' || path === '/trade' || path === '/trade/') return '';
  const match = /^\/trade\/([^/]+)\/?$/.exec(path);
  if (match === null) return null;
  try {
    return decodeURIComponent(match[1] ?? '');
  } catch {
    return match[1] ?? '';
  }
};

const layoutSignal = (): (() => Layout) => {
  const desk = window.matchMedia('(min-width: 1200px)');
  const tablet = window.matchMedia('(min-width: 768px)');
  const read = (): Layout => (desk.matches ? 'desk' : tablet.matches ? 'tablet' : 'phone');
  const [layout, setLayout] = createSignal(read());
  const change = (): void => void setLayout(read());
  for (const query of [desk, tablet]) query.addEventListener('change', change);
  onCleanup(() => {
    for (const query of [desk, tablet]) query.removeEventListener('change', change);
  });
  return layout;
};

export const App = (props: { store: Store }) => {
  const { store } = props;
  const layout = layoutSignal();
  const [tab, setTab] = createSignal<PhoneTab>('Chart');
  const [lost, setLost] = createSignal(false);

  const follow = (): void => {
    const name = marketOf(location.pathname);
    setLost(name === null);
    if (name !== null) store.intend({ kind: 'select', name });
  };
  follow();
  window.addEventListener('popstate', follow);
  onCleanup(() => window.removeEventListener('popstate', follow));

  // The address always names the market shown, in the market's own spelling.
  createEffect(() => {
    const market = store.market();
    if (lost() || market === null) return;
    const path = `/trade/${encodeURIComponent(market.name)}`;
    const at = marketOf(location.pathname);
    if (location.pathname === path || at === null) return;
    const same = at === '' || at.toLowerCase() === market.name.toLowerCase();
    history[same ? 'replaceState' : 'pushState'](null, '', path);
  });
  createEffect(() => {
    const root = document.documentElement.dataset;
    root.theme = store.settings().theme;
    root.palette = store.settings().palette;
    root.density = store.settings().density;
  });
  const row = (): number => (layout() === 'desk' && store.settings().density === 'compact' ? 20 : 24);

  return (
    <Show when={!lost()} fallback={<Lost />}>
      <a class="skip" href="#market">
        Skip to chart, book and trades
      </a>
      <div class="page" data-layout={layout()} data-tab={layout() === 'phone' ? tab() : undefined}>
        <Header store={store} />
        <ChainStrip store={store} short={layout() === 'phone'} open={() => setTab('Chain')} />
        <Show when={layout() === 'phone'}>
          <nav class="tabs" aria-label="Parts of the market page">
            <For each={PHONE_TABS}>
              {(name) => (
                <button type="button" aria-current={tab() === name ? 'page' : undefined} onClick={() => setTab(name)}>
                  {name}
                </button>
              )}
            </For>
          </nav>
        </Show>
        <main id="market" tabindex="-1">
          <Switch
            fallback={
              <>
                <Chart store={store} />
                <Ladder store={store} row={row()} />
                <Trades store={store} />
              </>
            }
          >
            <Match when={layout() === 'phone' && tab() === 'Chart'}>
              <Chart store={store} />
              <Ladder store={store} row={24} bare />
            </Match>
            <Match when={layout() === 'phone' && tab() === 'Book'}>
              <Ladder store={store} row={24} />
            </Match>
            <Match when={layout() === 'phone' && tab() === 'Trades'}>
              <Trades store={store} />
            </Match>
            <Match when={layout() === 'phone' && tab() === 'Chain'}>
              <ChainPanel store={store} />
            </Match>
          </Switch>
        </main>
        <Footer store={store} />
      </div>
    </Show>
  );
};

const Lost = () => (
  <main class="lost">
    <h1>There is nothing at this address</h1>
    <p>
      Markets live under <code>/trade/</code>. <a href="/">Open the first market</a>.
    </p>
  </main>
);
