/** Theme, palette, density, paint rate, time zone, and the counters of what the feed got wrong and the page mended. */
import { For, type JSX } from 'solid-js';
import type { Settings, Store } from '../store.ts';
import { Dialog } from '../ui/Dialog.tsx';
import './Settings.css';

const Choice = <K extends keyof Settings>(props: {
  store: Store;
  label: string;
  of: K;
  options: readonly (readonly [Settings[K], string])[];
}): JSX.Element => (
  <fieldset class="choice">
    <legend>{props.label}</legend>
    <div class="seg">
      <For each={props.options}>
        {([value, label]) => (
          <label>
            <input
              type="radio"
              name={props.of}
              checked={props.store.settings()[props.of] === value}
              onChange={() => props.store.intend({ kind: 'settings', change: { [props.of]: value } as Partial<Settings> })}
            />
            <span>{label}</span>
          </label>
        )}
      </For>
    </div>
  </fieldset>
);

export const SettingsDialog = (props: { store: Store; open: boolean; close: () => void }) => (
  <Dialog title="Settings" class="settings" open={props.open} close={props.close}>
    <div class="choices">
      <Choice
        store={props.store}
        label="Theme"
        of="theme"
        options={[
          ['dark', 'Dark'],
          ['light', 'Light'],
        ]}
      />
      <Choice
        store={props.store}
        label="Colours of bid and ask"
        of="palette"
        options={[
          ['green', 'Green, red'],
          ['blue', 'Blue, orange'],
        ]}
      />
      <Choice
        store={props.store}
        label="Rows"
        of="density"
        options={[
          ['compact', 'Compact'],
          ['roomy', 'Roomy'],
        ]}
      />
      <Choice
        store={props.store}
        label="Paints a second, at most"
        of="paint_hz"
        options={[
          [10, '10'],
          [20, '20'],
        ]}
      />
      <Choice
        store={props.store}
        label="Times"
        of="utc"
        options={[
          [false, 'Local'],
          [true, 'UTC'],
        ]}
      />
    </div>
    <h3>Feed since this page was opened</h3>
    <dl class="counters">
      <dt>gaps mended</dt>
      <dd class="num">{props.store.counters().gaps}</dd>
      <dt>checksums failed</dt>
      <dd class="num">{props.store.counters().failed_checks}</dd>
      <dt>messages ignored</dt>
      <dd class="num">{props.store.counters().ignored}</dd>
      <dt>reconnects</dt>
      <dd class="num">{props.store.counters().reconnects}</dd>
    </dl>
    <p class="licences">
      <a href="/THIRD_PARTY.txt">Licences of what this page contains</a>
    </p>
  </Dialog>
);
