/** Choice of the market: a search field and live prices. */
import { createSignal, For, onMount, Show } from 'solid-js';
import type { Store } from '../store.ts';
import { Dialog } from '../ui/Dialog.tsx';
import { compact, formatGrouped, percent } from '../units.ts';
import './MarketMenu.css';

const List = (props: { store: Store; close: () => void }) => {
  const [wish, setWish] = createSignal('');
  let search!: HTMLInputElement;
  onMount(() => search.focus());
  const shown = () => props.store.markets().filter((row) => row.market.name.toLowerCase().includes(wish().trim().toLowerCase()));
  // Rows are keyed by name: a new price must not rebuild the button under the pointer.
  const names = () =>
    shown()
      .map((row) => row.market.name)
      .join(' ');
  const row = (name: string) => props.store.markets().find((one) => one.market.name === name);
  const choose = (name: string): void => {
    props.store.intend({ kind: 'select', name });
    props.close();
  };
  const change = (name: string): string => {
    const ticker = row(name)?.ticker ?? null;
    return ticker === null ? '-' : percent(ticker.open, ticker.last);
  };
  const last = (name: string): string => {
    const found = row(name);
    return found === undefined || found.ticker === null ? '-' : formatGrouped(found.ticker.last, found.market.tick);
  };
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault();
        const first = shown()[0];
        if (first !== undefined) choose(first.market.name);
      }}
    >
      <input
        ref={search}
        class="search"
        type="search"
        placeholder="Search markets"
        aria-label="Search markets"
        value={wish()}
        onInput={(event) => setWish(event.currentTarget.value)}
      />
      <div class="market-cols" aria-hidden="true">
        <span>Market</span>
        <span>Last</span>
        <span>24h</span>
        <span class="market-trades">24h trades</span>
      </div>
      <ul class="market-list">
        <For each={names() === '' ? [] : names().split(' ')}>
          {(name) => (
            <li>
              <button
                type="button"
                aria-current={name === props.store.market()?.name ? 'true' : undefined}
                onClick={() => choose(name)}
              >
                <span class="market-name">{name}</span>
                <span class="num">{last(name)}</span>
                <span
                  class={`num ${change(name).startsWith('+') ? 'up' : change(name).length > 1 && change(name).startsWith('-') ? 'down' : ''}`}
                >
                  {change(name)}
                </span>
                <span class="num market-trades">{compact(row(name)?.ticker?.trades ?? 0)}</span>
              </button>
            </li>
          )}
        </For>
      </ul>
      <Show when={shown().length === 0}>
        <p class="none">No market is called so.</p>
      </Show>
    </form>
  );
};

export const MarketMenu = (props: { store: Store; open: boolean; close: () => void }) => (
  <Dialog title="Markets" class="markets" open={props.open} close={props.close}>
    <List store={props.store} close={props.close} />
  </Dialog>
);
