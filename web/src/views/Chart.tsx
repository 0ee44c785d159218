/** Candles and volume. Prices reach the chart as ticks: only its axis and legend make decimals of them. */

import {
  CandlestickSeries,
  ColorType,
  CrosshairMode,
  createChart,
  HistogramSeries,
  type IChartApi,
  type ISeriesApi,
  TickMarkType,
  type Time,
  type UTCTimestamp,
} from 'lightweight-charts';
import { createEffect, createMemo, createSignal, For, onCleanup, onMount } from 'solid-js';
import { type Candle, INTERVALS } from '../state/candles.ts';
import type { CandleRows, Store } from '../store.ts';
import { clock, compact, formatAxis, formatGrouped, formatNarrow, percent } from '../units.ts';
import { Pane } from './Pane.tsx';
import './Chart.css';

const seconds = (candle: Candle): UTCTimestamp => (candle.open_ms / 1000) as UTCTimestamp;
const colour = (name: string): string => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];

/** Marks of the time axis in UTC or local time. */
const mark = (time: Time, type: TickMarkType, utc: boolean): string => {
  const time_ms = (time as number) * 1000;
  const d = new Date(time_ms);
  if (type === TickMarkType.Year) return String(utc ? d.getUTCFullYear() : d.getFullYear());
  if (type === TickMarkType.Month) return MONTHS[utc ? d.getUTCMonth() : d.getMonth()] ?? '';
  if (type === TickMarkType.DayOfMonth)
    return `${utc ? d.getUTCDate() : d.getDate()} ${MONTHS[utc ? d.getUTCMonth() : d.getMonth()] ?? ''}`;
  return type === TickMarkType.TimeWithSeconds ? clock(time_ms, utc) : clock(time_ms, utc).slice(0, 5);
};
const moment = (time_ms: number, utc: boolean): string => {
  const d = new Date(time_ms);
  const day = utc ? d.getUTCDate() : d.getDate();
  return `${day} ${MONTHS[utc ? d.getUTCMonth() : d.getMonth()] ?? ''} ${clock(time_ms, utc)}`;
};

/** Keeps the series equal to the rows with as few updates as possible. */
class ChartDom {
  readonly #chart: IChartApi;
  readonly #candles: ISeriesApi<'Candlestick'>;
  readonly #lots: ISeriesApi<'Histogram'>;
  #shown: { market: number; interval: string; generation: number; open_ms: number; length: number } | null = null;
  #up = '';
  #down = '';

  constructor(root: HTMLElement, hover: (open_ms: number | null) => void) {
    this.#chart = createChart(root, {
      autoSize: true,
      layout: {
        attributionLogo: false,
        fontFamily: "'JetBrains Mono Variable', monospace",
        fontSize: 11,
        panes: { enableResize: false },
      },
      crosshair: { mode: CrosshairMode.Normal },
      timeScale: {
        borderVisible: false,
        secondsVisible: true,
        timeVisible: true,
        rightOffset: 6,
        barSpacing: 7,
        minBarSpacing: 1,
      },
      rightPriceScale: { borderVisible: false, scaleMargins: { top: 0.08, bottom: 0.06 } },
    });
    this.#candles = this.#chart.addSeries(CandlestickSeries, { borderVisible: false, priceLineStyle: 2 });
    this.#lots = this.#chart.addSeries(HistogramSeries, { priceLineVisible: false, lastValueVisible: false, base: 0 }, 1);
    this.#chart.panes()[0]?.setStretchFactor(0.78);
    this.#chart.panes()[1]?.setStretchFactor(0.22);
    this.#lots.priceScale().applyOptions({ scaleMargins: { top: 0.12, bottom: 0 } });
    this.#chart.subscribeCrosshairMove((event) => hover(event.time === undefined ? null : (event.time as number) * 1000));
  }

  /** Takes colours from the page's theme; the library knows no CSS variables. */
  theme(utc: boolean): void {
    this.#up = colour('--bid');
    this.#down = colour('--ask');
    const line = colour('--grid');
    const label = colour('--raise-2');
    this.#chart.applyOptions({
      layout: {
        background: { type: ColorType.Solid, color: colour('--pane') },
        textColor: colour('--dim'),
        panes: { separatorColor: colour('--line'), separatorHoverColor: colour('--line') },
      },
      grid: { vertLines: { color: line }, horzLines: { color: line } },
      crosshair: {
        vertLine: { color: colour('--dim'), labelBackgroundColor: label, width: 1, style: 3 },
        horzLine: { color: colour('--dim'), labelBackgroundColor: label, width: 1, style: 3 },
      },
      timeScale: { tickMarkFormatter: (time: Time, type: TickMarkType) => mark(time, type, utc) },
      localization: { timeFormatter: (time: Time) => moment((time as number) * 1000, utc) },
    });
    this.#candles.applyOptions({ upColor: this.#up, downColor: this.#down, wickUpColor: this.#up, wickDownColor: this.#down });
    this.#shown = null;
  }

  #volume(candle: Candle): { time: UTCTimestamp; value: number; color: string } {
    return { time: seconds(candle), value: candle.lots, color: `${candle.close >= candle.open ? this.#up : this.#down}66` };
  }

  put(next: CandleRows | null): void {
    if (next === null) {
      this.#candles.setData([]);
      this.#lots.setData([]);
      this.#shown = null;
      return;
    }
    const { market, interval, generation, rows } = next;
    const was = this.#shown;
    const bar = (candle: Candle) => ({
      time: seconds(candle),
      open: candle.open,
      high: candle.high,
      low: candle.low,
      close: candle.close,
    });
    const fresh = was === null || was.market !== market.market || was.interval !== interval;
    if (fresh) {
      this.#candles.applyOptions({
        priceFormat: {
          type: 'custom',
          minMove: 1,
          formatter: (value: number) => formatGrouped(Math.max(0, Math.round(value)), market.tick),
        },
      });
      this.#lots.applyOptions({
        priceFormat: {
          type: 'custom',
          minMove: 1,
          formatter: (value: number) => formatAxis(Math.max(0, Math.round(value)), market.lot),
        },
      });
      this.#chart.applyOptions({ timeScale: { secondsVisible: interval === '1s' } });
    }
    if (fresh || was.generation !== generation) {
      this.#candles.setData(rows.map(bar));
      this.#lots.setData(rows.map((candle) => this.#volume(candle)));
      if (fresh) this.#chart.timeScale().resetTimeScale();
    } else {
      // The candle before the last may have closed in the same frame.
      const from = Math.max(
        0,
        rows.findLastIndex((candle) => candle.open_ms < was.open_ms),
      );
      for (const candle of rows.slice(from)) {
        if (candle.open_ms < was.open_ms) continue;
        this.#candles.update(bar(candle));
        this.#lots.update(this.#volume(candle));
      }
    }
    const last = rows.at(-1);
    this.#shown = { market: market.market, interval, generation, open_ms: last?.open_ms ?? 0, length: rows.length };
  }

  remove(): void {
    this.#chart.remove();
  }
}

export const Chart = (props: { store: Store }) => {
  const { store } = props;
  let root!: HTMLDivElement;
  const [hover, setHover] = createSignal<number | null>(null);
  onMount(() => {
    const dom = new ChartDom(root, setHover);
    onCleanup(() => dom.remove());
    const look = createMemo(() => `${store.settings().theme} ${store.settings().palette} ${store.settings().utc}`);
    createEffect(() => {
      look();
      // The root element's attributes are set by another effect of the same settings; read colours after it.
      queueMicrotask(() => {
        dom.theme(store.settings().utc);
        dom.put(store.candles());
      });
    });
    createEffect(() => {
      const next = store.candles();
      dom.put(next);
      const last = next?.rows.at(-1);
      root.dataset.open = String(last?.open_ms ?? 0);
      root.dataset.last = last === undefined ? '' : `${last.open} ${last.high} ${last.low} ${last.close} ${last.lots}`;
      root.dataset.candles = String(next?.rows.length ?? 0);
    });
  });
  const shown = () => {
    const rows = store.candles()?.rows ?? [];
    const at = hover();
    return (at === null ? undefined : rows.find((row) => row.open_ms === at)) ?? rows.at(-1) ?? null;
  };
  const legend = () => {
    const candle = shown();
    const market = store.candles()?.market;
    if (candle === null || market === undefined) return [];
    return [
      ['O', formatGrouped(candle.open, market.tick)],
      ['H', formatGrouped(candle.high, market.tick)],
      ['L', formatGrouped(candle.low, market.tick)],
      ['C', formatGrouped(candle.close, market.tick)],
      ['', percent(candle.open, candle.close)],
      ['Vol', formatNarrow(candle.lots, market.lot, 9)],
    ] as const;
  };
  const way = () => {
    const candle = shown();
    return candle === null ? '' : candle.close >= candle.open ? 'up' : 'down';
  };
  const summary = () => {
    const rows = store.candles()?.rows ?? [];
    return `${compact(rows.length)} candles of ${store.interval()}, ${store.market()?.name ?? ''}`;
  };
  return (
    <Pane
      store={store}
      name="chart"
      title="Chart"
      tools={
        <div class="intervals" role="group" aria-label="Interval">
          <For each={INTERVALS}>
            {(one) => (
              <button
                type="button"
                aria-pressed={store.interval() === one}
                onClick={() => store.intend({ kind: 'interval', interval: one })}
              >
                {one}
              </button>
            )}
          </For>
        </div>
      }
    >
      <div class={`legend num ${way()}`} aria-hidden="true">
        <For each={legend()}>
          {([label, value]) => (
            <span>
              <i>{label}</i> {value}
            </span>
          )}
        </For>
      </div>
      <div class="chart" role="img" aria-label={summary()} ref={root} data-testid="chart" />
    </Pane>
  );
};
