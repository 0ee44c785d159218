/** The frame of every pane: its heading, its six states in words, and Retry where that can help. */
import { createEffect, createSignal, type JSX, onCleanup, Show } from 'solid-js';
import type { PaneName } from '../api/session.ts';
import type { Store } from '../store.ts';
import './Pane.css';

/** Words about waiting come only after this time: most waits are shorter, and flicker is worse than silence. */
const PATIENCE_MS = 3_000;

export const Pane = (props: { store: Store; name: PaneName; title: string; tools?: JSX.Element; children: JSX.Element }) => {
  const pane = () => props.store.pane(props.name);
  const [patient, setPatient] = createSignal(true);
  createEffect(() => {
    const { state } = pane();
    setPatient(true);
    if (state !== 'loading') return;
    const timer = setTimeout(() => setPatient(false), PATIENCE_MS);
    onCleanup(() => clearTimeout(timer));
  });
  const words = () => {
    const { state, words: said } = pane();
    if (state === 'loading') return patient() ? '' : said;
    if (state === 'offline') {
      const wait = props.store.conn().retry_in_s;
      return `Offline: ${said}${wait === null ? '.' : `. Next try in ${wait} s.`}`;
    }
    return state === 'empty' || state === 'error' ? said : '';
  };
  return (
    <section class={`pane pane-${props.name}`} data-state={pane().state} aria-label={props.title}>
      <header class="pane-head">
        <h2>{props.title}</h2>
        {props.tools}
      </header>
      <div class="pane-body">
        {props.children}
        <Show when={words() !== ''}>
          <div class="pane-words">
            <div class="pane-card">
              <p>{words()}</p>
              <Show when={pane().retry}>
                <button type="button" class="button" onClick={() => props.store.intend({ kind: 'retry' })}>
                  Retry now
                </button>
              </Show>
            </div>
          </div>
        </Show>
      </div>
    </section>
  );
};
