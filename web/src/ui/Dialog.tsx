/** A modal on the browser's own `<dialog>`: focus stays inside, Esc and a click beside it close it. */
import { createEffect, type JSX, Show } from 'solid-js';
import './Dialog.css';

export const Dialog = (props: { title: string; class: string; open: boolean; close: () => void; children: JSX.Element }) => {
  let element!: HTMLDialogElement;
  createEffect(() => {
    if (props.open && !element.open) element.showModal();
    else if (!props.open && element.open) element.close();
  });
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the click closes by the backdrop; keyboards have Esc and the Close button
    <dialog
      ref={element}
      class={`dialog ${props.class}`}
      aria-label={props.title}
      onClose={() => props.close()}
      onClick={(event) => event.target === element && props.close()}
    >
      <Show when={props.open}>
        <div class="dialog-inner">
          <div class="dialog-head">
            <h2>{props.title}</h2>
            <button type="button" class="icon-button" aria-label="Close" onClick={() => props.close()}>
              <svg viewBox="0 0 20 20" aria-hidden="true">
                <path d="m5 5 10 10M15 5 5 15" stroke="currentColor" stroke-width="1.5" stroke-linecap="round" />
              </svg>
            </button>
          </div>
          {props.children}
        </div>
      </Show>
    </dialog>
  );
};
