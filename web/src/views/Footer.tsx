/** Credit of the chart library (its licence asks for it), licences, version and the quick theme switch. */
import type { Store } from '../store.ts';
import './Footer.css';

export const Footer = (props: { store: Store }) => {
  const other = () => (props.store.settings().theme === 'dark' ? 'light' : 'dark');
  return (
    <footer class="foot">
      <span class="credit">
        <a href="https://www.tradingview.com/" rel="noopener noreferrer" target="_blank">
          TradingView Lightweight Charts
        </a>
        <span>, Copyright 2023 TradingView, Inc.</span>
      </span>
      <a class="foot-licences" href="/THIRD_PARTY.txt">
        Licences
      </a>
      <span class="foot-space" />
      <span class="foot-version">{props.store.version() === '' ? '' : `hifi ${props.store.version()}`}</span>
      <button
        type="button"
        class="foot-theme"
        onClick={() => props.store.intend({ kind: 'settings', change: { theme: other() } })}
      >
        {other() === 'light' ? 'Light theme' : 'Dark theme'}
      </button>
    </footer>
  );
};
