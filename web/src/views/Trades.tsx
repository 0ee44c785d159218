/** The last trades, newest on top. Rows are written by hand, as in the ladder. */
import { createEffect, onMount } from 'solid-js';
import { TRADES_KEPT } from '../state/trades.ts';
import type { Store } from '../store.ts';
import { clock, formatGrouped, formatNarrow } from '../units.ts';
import { Flash } from './flash.ts';
import { Pane } from './Pane.tsx';
import './Trades.css';

const SIZE_WIDTH = 11;

export const Trades = (props: { store: Store }) => {
  const { store } = props;
  let list!: HTMLDivElement;
  onMount(() => {
    const rows = Array.from({ length: TRADES_KEPT }, () => {
      const row = document.createElement('div');
      row.className = 'trade';
      row.setAttribute('role', 'row');
      const cells = ['price', 'lots', 'time'].map((name) => {
        const cell = document.createElement('span');
        cell.className = name;
        cell.setAttribute('role', 'cell');
        return cell;
      });
      row.append(...cells);
      row.hidden = true;
      list.append(row);
      return { row, cells, shown: '' };
    });
    const flash = new Flash();
    let newest = 0;
    createEffect(() => {
      const market = store.market();
      const trades = store.trades();
      const { utc } = store.settings();
      const lit = new Set<HTMLElement>();
      rows.forEach((dom, i) => {
        const trade = trades[i];
        const shown = trade === undefined || market === null ? '' : `${market.name} ${trade.trade} ${utc}`;
        if (shown === dom.shown) return;
        dom.shown = shown;
        dom.row.hidden = shown === '';
        if (trade === undefined || market === null) return;
        const up = trade.taker_side === 'bid';
        dom.row.className = `trade ${trade.taker_side}`;
        dom.row.dataset.trade = String(trade.trade);
        const [price, lots, time] = dom.cells;
        if (price !== undefined) price.textContent = `${up ? '▲' : '▼'} ${formatGrouped(trade.ticks, market.tick)}`;
        if (lots !== undefined) lots.textContent = formatNarrow(trade.lots, market.lot, SIZE_WIDTH);
        if (time !== undefined) time.textContent = clock(trade.time_ms, utc);
        if (newest > 0 && trade.trade > newest) lit.add(dom.row);
      });
      flash.show(lit);
      newest = trades[0]?.trade ?? 0;
      list.dataset.trade = String(newest);
      list.dataset.seq = String(trades[0]?.seq ?? 0);
    });
  });
  return (
    <Pane store={store} name="trades" title="Trades">
      <div class="trades">
        <div class="cols" aria-hidden="true">
          <span>Price {store.market()?.quote ?? ''}</span>
          <span>Size {store.market()?.base ?? ''}</span>
          <span>Time{store.settings().utc ? ' UTC' : ''}</span>
        </div>
        <div
          class="trade-list num"
          role="table"
          tabindex="0"
          aria-label="Last trades, newest first: price, size, time. An up arrow is a buy."
          ref={list}
          data-testid="trades"
        />
      </div>
    </Pane>
  );
};
