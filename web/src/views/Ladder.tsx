/**
 * The order book as a ladder: asks above, bids below, bars by running total.
 * Rows are made once and written by hand (`LadderDom.put`): forty rows ten times a second are too many for a template.
 */
import { createEffect, createMemo, createSignal, For, onCleanup, onMount, Show } from 'solid-js';
import type { LadderRow, Side } from '../state/book.ts';
import type { LadderRows, Store } from '../store.ts';
import { format, formatGrouped, formatNarrow, hundredths } from '../units.ts';
import { Flash } from './flash.ts';
import { Pane } from './Pane.tsx';
import './Ladder.css';

const GROUPS = [1, 10, 50, 100] as const;
const ROWS_LEAST = 6;
const ROWS_MOST = 25;
const SIZE_WIDTH = 10;
type Sides = 'both' | 'bid' | 'ask';

interface RowDom {
  readonly row: HTMLElement;
  readonly cells: readonly [HTMLElement, HTMLElement, HTMLElement];
  readonly bar: HTMLElement;
  price: string;
  lots: number;
  total: number;
  scale: string;
}

const element = (name: string, cls: string, role?: string): HTMLElement => {
  const made = document.createElement(name);
  made.className = cls;
  if (role !== undefined) made.setAttribute('role', role);
  return made;
};

/** Rows of one side, written in place. Row 0 is the best price; CSS turns the asks upside down. */
class SideDom {
  readonly #root: HTMLElement;
  readonly #side: Side;
  #rows: RowDom[] = [];
  #shown: readonly LadderRow[] = [];
  #active = -1;
  readonly #flash = new Flash();

  constructor(root: HTMLElement, side: Side) {
    this.#root = root;
    this.#side = side;
  }

  /** Makes exactly `count` rows. */
  resize(count: number): void {
    while (this.#rows.length > count) this.#rows.pop()?.row.remove();
    while (this.#rows.length < count) {
      const row = element('div', `level ${this.#side}`, 'row');
      const cells = [
        element('span', 'price', 'cell'),
        element('span', 'lots', 'cell'),
        element('span', 'total', 'cell'),
      ] as const;
      const bar = element('i', 'bar');
      bar.setAttribute('aria-hidden', 'true');
      row.append(bar, ...cells);
      this.#root.append(row);
      this.#rows.push({ row, cells, bar, price: '', lots: -1, total: -1, scale: '' });
    }
  }

  put(rows: readonly LadderRow[], of: LadderRows, most: number, same_market: boolean): void {
    const { tick, lot } = of.market;
    // A level is known by its price: a row that moved did not change, one whose size differs at the same price did.
    const before = new Map(this.#shown.map((row) => [row.ticks, row.lots]));
    const lit = new Set<HTMLElement>();
    this.#rows.forEach((dom, i) => {
      const row = rows[i];
      const price = row === undefined ? '' : formatGrouped(row.ticks, tick);
      if (dom.price !== price) {
        dom.cells[0].textContent = price;
        dom.price = price;
      }
      const lots = row?.lots ?? 0;
      if (dom.lots !== lots || !same_market) {
        dom.cells[1].textContent = row === undefined ? '' : formatNarrow(lots, lot, SIZE_WIDTH);
        dom.lots = lots;
      }
      const total = row?.total ?? 0;
      if (dom.total !== total || !same_market) {
        dom.cells[2].textContent = row === undefined ? '' : formatNarrow(total, lot, SIZE_WIDTH);
        dom.total = total;
      }
      const scale = `scaleX(${most === 0 ? 0 : (total / most).toFixed(3)})`;
      if (dom.scale !== scale) {
        dom.bar.style.transform = scale;
        dom.scale = scale;
      }
      const was = row === undefined ? undefined : before.get(row.ticks);
      if (same_market && row !== undefined && before.size > 0 && was !== row.lots) {
        lit.add(dom.row);
      }
    });
    this.#flash.show(lit);
    this.#shown = rows;
  }

  /** Moves the marked row by `by` places away from the spread and says it in words. */
  step(by: number, words: (row: LadderRow) => string): string {
    this.#rows[this.#active]?.row.removeAttribute('data-active');
    this.#active = Math.max(0, Math.min(this.#shown.length - 1, this.#active + by));
    this.#rows[this.#active]?.row.setAttribute('data-active', '');
    const row = this.#shown[this.#active];
    return row === undefined ? 'no level' : words(row);
  }
  leave(): void {
    this.#rows[this.#active]?.row.removeAttribute('data-active');
    this.#active = -1;
  }
}

export const Ladder = (props: { store: Store; row: number; bare?: boolean }) => {
  const { store } = props;
  let body!: HTMLDivElement;
  let asks_root!: HTMLDivElement;
  let bids_root!: HTMLDivElement;
  const [height, setHeight] = createSignal(0);
  const [group, setGroup] = createSignal<number>(1);
  const [sides, setSides] = createSignal<Sides>('both');
  const [spoken, setSpoken] = createSignal('');
  const price = createMemo(() => store.market()?.name);

  /** Rows that fit: the body less column heads (24) and the spread row (32), halved when both sides are shown. */
  const rows = createMemo(() => {
    const room = height() - (props.bare === true ? 24 : 24 + 32);
    const both = Math.floor(room / (2 * props.row));
    const fit = sides() === 'both' || props.bare === true ? both : Math.floor(room / props.row);
    return Math.max(ROWS_LEAST, Math.min(sides() === 'both' ? ROWS_MOST : ROWS_MOST * 2, fit));
  });
  createEffect(() => {
    price();
    setGroup(1);
  });
  createEffect(() => store.intend({ kind: 'ladder', shape: { rows: rows(), group: group() } }));

  onMount(() => {
    // Known before the first paint, so that the rows are never seen in another number.
    setHeight(body.clientHeight);
    const watch = new ResizeObserver(([entry]) => setHeight(Math.round(entry?.contentRect.height ?? 0)));
    watch.observe(body);
    onCleanup(() => watch.disconnect());
    const asks = new SideDom(asks_root, 'ask');
    const bids = new SideDom(bids_root, 'bid');
    let shown: LadderRows | null = null;
    createEffect(() => {
      const which = props.bare === true ? 'both' : sides();
      asks.resize(which === 'bid' ? 0 : rows());
      bids.resize(which === 'ask' ? 0 : rows());
      const next = store.ladder();
      if (next === null) {
        shown = null;
        return;
      }
      const same = shown?.market === next.market;
      const most = Math.max(next.bids.at(-1)?.total ?? 0, next.asks.at(-1)?.total ?? 0);
      asks.put(next.asks.slice(0, rows()), next, most, same);
      bids.put(next.bids.slice(0, rows()), next, most, same);
      body.dataset.seq = String(next.seq);
      body.dataset.block = String(next.block);
      shown = next;
    });
    const keys = (dom: SideDom, away: 'ArrowUp' | 'ArrowDown', side: string) => (event: KeyboardEvent) => {
      if (event.key !== 'ArrowUp' && event.key !== 'ArrowDown') return;
      event.preventDefault();
      const market = store.market();
      if (market === null) return;
      setSpoken(
        dom.step(
          event.key === away ? 1 : -1,
          (row) =>
            `${side} ${format(row.ticks, market.tick)}, size ${format(row.lots, market.lot)}, total ${format(row.total, market.lot)}`,
        ),
      );
    };
    const on_asks = keys(asks, 'ArrowUp', 'ask');
    const on_bids = keys(bids, 'ArrowDown', 'bid');
    asks_root.addEventListener('keydown', on_asks);
    bids_root.addEventListener('keydown', on_bids);
    asks_root.addEventListener('blur', () => asks.leave());
    bids_root.addEventListener('blur', () => bids.leave());
  });

  const last = () => store.trades()[0] ?? null;
  const lastWords = () => {
    const market = store.market();
    const ticks = last()?.ticks ?? store.ticker()?.last ?? null;
    return market === null || ticks === null ? '-' : formatGrouped(ticks, market.tick);
  };
  const spread = () => {
    const shown = store.ladder();
    if (shown === null || shown.spread === null || shown.mid_x2 === null) return '-';
    // Hundredths of a basis point of the middle price.
    const bp_x100 = Math.round((shown.spread * 2_000_000) / shown.mid_x2);
    return `${format(shown.spread, shown.market.tick)} · ${hundredths(bp_x100)} bp`;
  };
  const readTop = (): void => {
    const shown = store.ladder();
    const say = (row: LadderRow | undefined): string =>
      row === undefined || shown === null
        ? 'nothing'
        : `${format(row.ticks, shown.market.tick)} for ${format(row.lots, shown.market.lot)}`;
    setSpoken(`best bid ${say(shown?.bids[0])}, best ask ${say(shown?.asks[0])}`);
  };

  return (
    <Pane
      store={store}
      name="ladder"
      title="Order book"
      tools={
        <Show when={props.bare !== true}>
          <div class="side-choice" role="group" aria-label="Sides shown">
            <For each={['both', 'bid', 'ask'] as const}>
              {(which) => (
                <button
                  type="button"
                  class={`side-button ${which}`}
                  aria-label={which === 'both' ? 'Bids and asks' : `Only ${which}s`}
                  aria-pressed={sides() === which}
                  onClick={() => setSides(which)}
                >
                  <svg viewBox="0 0 16 16" aria-hidden="true">
                    <path class={which === 'bid' ? 'stroke-bid' : 'stroke-ask'} d="M3 4.5h10M3 7h7" stroke-width="1.5" />
                    <path class={which === 'ask' ? 'stroke-ask' : 'stroke-bid'} d="M3 9.5h7M3 12h10" stroke-width="1.5" />
                  </svg>
                </button>
              )}
            </For>
          </div>
          <select
            class="group-choice num"
            aria-label="Price grouping"
            value={String(group())}
            onChange={(event) => setGroup(Number(event.currentTarget.value))}
          >
            <For each={GROUPS}>
              {(one) => (
                <option value={String(one)} selected={one === group()}>
                  {store.market() === null ? '-' : format(one, (store.market() as NonNullable<ReturnType<Store['market']>>).tick)}
                </option>
              )}
            </For>
          </select>
        </Show>
      }
    >
      <div
        class="ladder"
        classList={{ bare: props.bare === true, [`only-${sides()}`]: props.bare !== true }}
        ref={body}
        data-testid="ladder"
      >
        <div class="cols" aria-hidden="true">
          <span>Price {store.market()?.quote ?? ''}</span>
          <span>Size {store.market()?.base ?? ''}</span>
          <span>Total {store.market()?.base ?? ''}</span>
        </div>
        <div
          class="side asks num"
          role="table"
          tabindex="0"
          aria-label="Asks: price, size, total. Arrow keys read the levels."
          ref={asks_root}
        />
        <div class="spread num">
          <span class="spread-last" classList={{ up: last()?.taker_side === 'bid', down: last()?.taker_side === 'ask' }}>
            {lastWords()} <small aria-hidden="true">{last()?.taker_side === 'ask' ? '▼' : last() === null ? '' : '▲'}</small>
          </span>
          <span class="spread-words">
            <abbr title="best ask minus best bid">spread</abbr> {spread()}
          </span>
        </div>
        <div
          class="side bids num"
          role="table"
          tabindex="0"
          aria-label="Bids: price, size, total. Arrow keys read the levels."
          ref={bids_root}
        />
        <button type="button" class="sr sr-button" onClick={readTop}>
          Read top of book
        </button>
        <p class="sr" role="status">
          {spoken()}
        </p>
      </div>
    </Pane>
  );
};
