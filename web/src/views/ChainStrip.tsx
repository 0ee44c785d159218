/** The chain's figures in one line, and as a list for the phone. A dash stands where this server measures nothing. */
import { createMemo, Index, Show } from 'solid-js';
import type { Store } from '../store.ts';
import { compact, formatShort, hundredths, step } from '../units.ts';
import { ConnectionBadge } from './ConnectionBadge.tsx';
import './ChainStrip.css';

interface Figure {
  readonly label: string;
  readonly value: string;
  readonly title: string;
  /** Cell width in characters; fixed, so that the strip never moves. */
  readonly width: number;
  /** 0 always stays; higher numbers go first when the window is narrow. */
  readonly drop: number;
}
const ONE = step('1');

const figures = (store: Store): readonly Figure[] => {
  const chain = store.chain();
  const { lag_ms, round_trip_ms } = store.conn();
  const ms = (value: number | null | undefined): string =>
    value === null || value === undefined ? '-' : `${Math.round(value)} ms`;
  return [
    {
      label: 'block',
      value: chain === null ? '-' : formatShort(chain.block, ONE, 0),
      title: chain === null ? '' : `${chain.txs} transactions in it`,
      width: 7,
      drop: 0,
    },
    {
      label: 'tx/s',
      value: chain === null ? '-' : compact(chain.tx_per_s_x100 / 100),
      title: 'transactions a second, over the last 5 s',
      width: 6,
      drop: 0,
    },
    {
      label: 'Mgas/s',
      value: chain === null ? '-' : hundredths(chain.mgas_per_s_x100),
      title: 'million gas a second, over the last 5 s',
      width: 8,
      drop: 1,
    },
    {
      label: 'block time',
      value: ms(chain?.block_ms_p50),
      title: chain === null ? '' : `median of the last 50; p99 ${chain.block_ms_p99} ms`,
      width: 7,
      drop: 1,
    },
    {
      label: 'speed-up',
      value: '-',
      title: 'parallel against sequential execution: not measured by this server',
      width: 3,
      drop: 3,
    },
    { label: 'retries', value: '-', title: 'transactions executed twice: not measured by this server', width: 3, drop: 3 },
    { label: 'conflicts', value: '-', title: 'locations that caused retries: not measured by this server', width: 3, drop: 3 },
    { label: 'feed lag', value: ms(lag_ms), title: 'age of the last block when it reached this page', width: 7, drop: 2 },
    { label: 'round trip', value: ms(round_trip_ms), title: 'of a ping on the websocket', width: 7, drop: 2 },
  ];
};

export const ChainStrip = (props: { store: Store; short: boolean; open: () => void }) => {
  const all = createMemo(() => figures(props.store));
  return (
    <section
      class="strip"
      aria-label="Chain and connection"
      data-testid="strip"
      data-state={props.store.pane('chain').state}
      data-block={props.store.chain()?.block ?? 0}
    >
      <ConnectionBadge store={props.store} />
      <Show
        when={props.short}
        fallback={
          <dl class="strip-figures">
            <Index each={all()}>
              {(figure) => (
                <div class={`strip-figure drop-${figure().drop}`} title={figure().title}>
                  <dt>{figure().label}</dt>
                  <dd class={`num w${figure().width}`}>{figure().value.padStart(figure().width)}</dd>
                </div>
              )}
            </Index>
          </dl>
        }
      >
        <button type="button" class="strip-short num" title="All chain figures" onClick={() => props.open()}>
          <span>{`#${props.store.chain()?.block ?? '-'}`}</span>
          <span>{`${compact((props.store.chain()?.tx_per_s_x100 ?? 0) / 100).padStart(6)} tx/s`}</span>
        </button>
      </Show>
    </section>
  );
};

/** The phone's Chain tab. */
export const ChainPanel = (props: { store: Store }) => {
  const all = createMemo(() => figures(props.store));
  return (
    <section class="pane chain-panel" data-state={props.store.pane('chain').state} aria-label="Chain">
      <header class="pane-head">
        <h2>Chain</h2>
      </header>
      <dl>
        <Index each={all()}>
          {(figure) => (
            <div>
              <dt>
                {figure().label}
                <small>{figure().title}</small>
              </dt>
              <dd class="num">{figure().value}</dd>
            </div>
          )}
        </Index>
        <div>
          <dt>
            gas of the last block
            <small>{`${props.store.chain()?.txs ?? 0} transactions`}</small>
          </dt>
          <dd class="num">{compact(props.store.chain()?.gas_used ?? 0)}</dd>
        </div>
      </dl>
    </section>
  );
};
