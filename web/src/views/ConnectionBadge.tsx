/** Whether what is on the screen is now: the state in words, its cause, and in the tooltip round trip and feed lag. */
import type { ConnState } from '../api/session.ts';
import type { Store } from '../store.ts';
import './ConnectionBadge.css';

const WORDS: Readonly<Record<ConnState, string>> = {
  connecting: 'connecting',
  syncing: 'syncing',
  live: 'live',
  stale: 'stale',
  reconnecting: 'reconnecting',
  offline: 'offline',
};

export const ConnectionBadge = (props: { store: Store }) => {
  const conn = () => props.store.conn();
  const words = () => {
    const { state, cause } = conn();
    if (state === 'stale') return cause;
    return cause === '' || state === 'live' || state === 'connecting' ? WORDS[state] : `${WORDS[state]}: ${cause}`;
  };
  const detail = () => {
    const { round_trip_ms, lag_ms } = conn();
    return `round trip ${round_trip_ms === null ? '-' : `${Math.round(round_trip_ms)} ms`}, feed ${lag_ms === null ? '-' : `${Math.round(lag_ms)} ms`} behind the block`;
  };
  return (
    <span class="badge" role="status" data-state={conn().state} data-testid="badge" title={detail()}>
      <span class="badge-dot" aria-hidden="true" />
      <span class="badge-words">{words()}</span>
    </span>
  );
};
