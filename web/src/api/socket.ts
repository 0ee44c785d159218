/**
 * One websocket that is always there or on its way: opens, pings, closes the dead, waits and tries again.
 * Used by `session.ts`, which decides what is said on it. Never loses track of time: it tells when the next try comes.
 */
import { decodeFrame, type Frame, Malformed } from './schema.ts';

export const PING_EVERY_MS = 5_000;
/** The first pings come faster: the first of all is slowed by the page's own start. */
const PINGS_AT_START = 4;
const PING_AT_START_MS = 1_000;
/** A clock reading is as good as its round trip was short; a better one replaces it, and so does any after this time. */
const CLOCK_KEPT_MS = 60_000;
export const PONG_WITHIN_MS = 10_000;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MOST_MS = 10_000;
const CALM_AFTER_MS = 30_000;

/** Why the socket is closed, in words for the badge. */
const CLOSE_WORDS: Readonly<Record<number, string>> = {
  1001: 'the server is shutting down',
  1006: 'connection lost',
  1008: 'refused by the server',
  1009: 'message too large',
  1011: 'the server is rebuilding the book',
  1012: 'the server restarts',
  4008: 'this page read too slowly',
  4029: 'too many requests',
};

export interface SocketEvents {
  opened(): void;
  frame(frame: Frame): void;
  /** A frame that could not even be assigned to a subscription. */
  undecodable(why: string): void;
  /** `slow_seq`: the last sequence number the server wrote before it closed a slow reader. */
  closed(why: string, slow_seq: number | null): void;
}

export interface SocketFigures {
  readonly open: boolean;
  /** Round trip of the last ping in ms; null before the first answer. */
  readonly round_trip_ms: number | null;
  /** Server clock minus ours in ms. */
  readonly clock_ms: number;
  readonly last_pong_at_ms: number;
  /** When the next try is due; null while open or opening. */
  readonly retry_at_ms: number | null;
}

export class Socket {
  readonly #url: string;
  readonly #events: SocketEvents;
  #ws: WebSocket | null = null;
  #backoff_ms = BACKOFF_FIRST_MS;
  #opened_at_ms = 0;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #ticker: ReturnType<typeof setInterval> | null = null;
  #ping: { id: number; at_ms: number } | null = null;
  #id = 0;
  #pings = 0;
  #clock = { round_trip_ms: Number.POSITIVE_INFINITY, at_ms: 0 };
  figures: SocketFigures = { open: false, round_trip_ms: null, clock_ms: 0, last_pong_at_ms: 0, retry_at_ms: null };

  constructor(url: string, events: SocketEvents) {
    this.#url = url;
    this.#events = events;
  }

  /** Number for the next request; never repeats on this page. */
  nextId(): number {
    this.#id += 1;
    return this.#id;
  }

  /** Opens now, whatever was planned. */
  connect(): void {
    if (this.#retry !== null) clearTimeout(this.#retry);
    this.#retry = null;
    this.#drop();
    this.figures = { ...this.figures, open: false, retry_at_ms: null };
    const ws = new WebSocket(this.#url);
    this.#ws = ws;
    const started_at_ms = Date.now();
    this.#ticker = setInterval(() => {
      if (ws.readyState === WebSocket.CONNECTING) {
        if (Date.now() - started_at_ms > PONG_WITHIN_MS) this.#lost(ws, 'no answer', 1006, null);
      } else this.#pulse(ws);
    }, 1_000);
    ws.onopen = () => {
      if (ws !== this.#ws) return;
      this.#opened_at_ms = Date.now();
      this.#pings = 0;
      this.figures = { ...this.figures, open: true, last_pong_at_ms: Date.now() };
      this.#events.opened();
      this.#sendPing();
    };
    ws.onmessage = (event: MessageEvent) => {
      if (ws === this.#ws) this.#read(event.data);
    };
    ws.onclose = (event) => {
      const slow = /seq=(\d+)/.exec(event.reason);
      this.#lost(ws, CLOSE_WORDS[event.code] ?? `closed with ${event.code}`, event.code, slow === null ? null : Number(slow[1]));
    };
  }

  /** Sends a request; false when there is no open socket (the session asks again once there is). */
  send(request: object): boolean {
    if (this.#ws?.readyState !== WebSocket.OPEN) return false;
    this.#ws.send(JSON.stringify(request));
    return true;
  }

  #read(data: unknown): void {
    if (typeof data !== 'string') return;
    let frame: Frame;
    try {
      frame = decodeFrame(data);
    } catch (error) {
      if (!(error instanceof Malformed)) throw error;
      this.#events.undecodable(error.message);
      return;
    }
    if (frame.kind === 'pong') {
      const now_ms = Date.now();
      if (this.#ping?.id === frame.id) {
        const round_trip_ms = now_ms - this.#ping.at_ms;
        if (round_trip_ms <= this.#clock.round_trip_ms || now_ms - this.#clock.at_ms > CLOCK_KEPT_MS) {
          this.#clock = { round_trip_ms, at_ms: now_ms };
          this.figures = { ...this.figures, clock_ms: frame.now_us / 1000 - (this.#ping.at_ms + round_trip_ms / 2) };
        }
        this.figures = { ...this.figures, round_trip_ms };
        this.#ping = null;
      }
      this.figures = { ...this.figures, last_pong_at_ms: now_ms };
    }
    this.#events.frame(frame);
  }

  /** Pings now, to learn whether silence is the chain's or the server's. */
  probe(): void {
    if (this.#ping === null) this.#sendPing();
  }

  #sendPing(): void {
    const at_ms = Date.now();
    this.#pings++;
    this.#ping = { id: this.nextId(), at_ms };
    this.send({ op: 'ping', id: this.#ping.id, t: at_ms });
  }

  #pulse(ws: WebSocket): void {
    const now_ms = Date.now();
    if (this.#ping !== null && now_ms - this.#ping.at_ms > PONG_WITHIN_MS) {
      this.#lost(ws, 'no answer', 1006, null);
      return;
    }
    const pause_ms = this.#pings < PINGS_AT_START ? PING_AT_START_MS : PING_EVERY_MS;
    if (this.#ping === null && now_ms - this.figures.last_pong_at_ms >= pause_ms) this.#sendPing();
    if (now_ms - this.#opened_at_ms > CALM_AFTER_MS) this.#backoff_ms = BACKOFF_FIRST_MS;
  }

  #drop(): void {
    if (this.#ticker !== null) clearInterval(this.#ticker);
    this.#ticker = null;
    this.#ping = null;
    const ws = this.#ws;
    this.#ws = null;
    if (ws === null) return;
    ws.onopen = null;
    ws.onmessage = null;
    ws.onclose = null;
    ws.close();
  }

  #lost(ws: WebSocket, why: string, code: number, slow_seq: number | null): void {
    if (ws !== this.#ws) return;
    this.#drop();
    // A slow reader resumes at once from where it was cut; a refused one has to leave the server alone for a while.
    const wait_ms =
      code === 4008 ? 0 : code === 4029 || code === 1008 ? 30_000 : this.#backoff_ms * (1 + (Math.random() - 0.5) * 0.6);
    this.#backoff_ms = Math.min(this.#backoff_ms * 2, BACKOFF_MOST_MS);
    this.figures = { ...this.figures, open: false, round_trip_ms: null, retry_at_ms: Date.now() + wait_ms };
    this.#retry = setTimeout(() => this.connect(), wait_ms);
    this.#events.closed(why, slow_seq);
  }
}
