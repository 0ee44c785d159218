/**
 * What every browser test needs: the stack's address, a page that records what it shows each frame, and patience without sleeping.
 * The stack is never faked: faults are made on real frames between the browser and the server.
 */
import { mkdirSync } from 'node:fs';
import type { Browser, BrowserContext, Page, WebSocketRoute } from 'playwright-core';
import { afterAll, beforeAll } from 'vitest';
import { launch } from './chromium.mjs';

export const api = (): string => {
  const url = process.env.HIFI_API;
  if (url === undefined || url === '')
    throw new Error('HIFI_API: expected the address of a running stack such as http://127.0.0.1:8080, found nothing');
  return url.replace(/\/$/, '');
};
export const OUT = new URL('./out/', import.meta.url).pathname;

let browser: Browser;
/** Starts one browser for the file. */
export const withBrowser = (): void => {
  beforeAll(async () => {
    mkdirSync(OUT, { recursive: true });
    browser = await launch();
  });
  afterAll(async () => {
    await browser?.close();
  });
};

export interface Looks {
  readonly width?: number;
  readonly height?: number;
  readonly theme?: 'dark' | 'light';
}
export const newContext = (looks: Looks = {}): Promise<BrowserContext> =>
  browser.newContext({
    viewport: { width: looks.width ?? 1440, height: looks.height ?? 900 },
    colorScheme: looks.theme ?? 'dark',
  });

/** What one frame showed of the ladder: best price first on both sides. */
export interface Seen {
  readonly block: number;
  readonly bids: readonly (readonly [string, string])[];
  readonly asks: readonly (readonly [string, string])[];
}
declare global {
  interface Window {
    seen: Map<number, Seen>;
    painted: number;
    crossed: string[];
    violations: string[];
  }
}

/** Runs in the page before anything else: reads the ladder in every animation frame, as a person's eyes would. */
const record = (): void => {
  window.seen = new Map();
  window.painted = 0;
  window.crossed = [];
  window.violations = [];
  document.addEventListener('securitypolicyviolation', (event) =>
    window.violations.push(`${event.violatedDirective} ${event.blockedURI}`),
  );
  const rows = (side: string): [string, string][] =>
    [...document.querySelectorAll(`.${side} .level`)]
      .map((row): [string, string] => [
        row.querySelector('.price')?.textContent ?? '',
        row.querySelector('.lots')?.textContent ?? '',
      ])
      .filter(([price]) => price !== '');
  const look = (): void => {
    requestAnimationFrame(look);
    const ladder = document.querySelector<HTMLElement>('.ladder');
    const seq = Number(ladder?.dataset.seq ?? 0);
    if (ladder === null || seq === 0) return;
    window.painted++;
    const bids = rows('bids');
    const asks = rows('asks');
    const bid = Number((bids[0]?.[0] ?? '0').replaceAll(',', ''));
    const ask = Number((asks[0]?.[0] ?? 'Infinity').replaceAll(',', ''));
    if (bid >= ask && asks.length > 0) window.crossed.push(`seq ${seq}: bid ${bid} ask ${ask}`);
    window.seen.set(seq, { block: Math.floor(seq / 2 ** 20), bids, asks });
    if (window.seen.size > 2_000) window.seen.delete(window.seen.keys().next().value as number);
  };
  requestAnimationFrame(look);
};

export interface Opened {
  readonly page: Page;
  readonly context: BrowserContext;
  /** Every address the page asked for. */
  readonly requests: string[];
  /** Errors of the page and of its console. */
  readonly errors: string[];
}

/** Opens a route in a fresh context; `wire` may stand between the page's websocket and the server. */
export const open = async (path: string, looks: Looks = {}, wire?: (socket: WebSocketRoute) => void): Promise<Opened> => {
  const context = await newContext(looks);
  const page = await context.newPage();
  const requests: string[] = [];
  const errors: string[] = [];
  page.on('request', (request) => requests.push(request.url()));
  page.on('websocket', (socket) => requests.push(socket.url()));
  page.on('pageerror', (error) => errors.push(error.message));
  page.on('console', (message) => message.type() === 'error' && errors.push(message.text()));
  await page.addInitScript(record);
  if (wire !== undefined) await page.routeWebSocket(/\/v1\/ws$/, wire);
  await page.goto(api() + path, { waitUntil: 'domcontentloaded' });
  return { page, context, requests, errors };
};

/** Waits until every pane in sight is in one of `states`. */
export const panes = async (page: Page, states: readonly string[] = ['live'], timeout = 20_000): Promise<void> => {
  await page
    .waitForFunction(
      (wanted) => {
        const all = [...document.querySelectorAll<HTMLElement>('.pane')];
        return all.length > 0 && all.every((pane) => wanted.includes(pane.dataset.state ?? ''));
      },
      states,
      { timeout },
    )
    .catch(async (error: Error) => {
      throw new Error(`panes expected ${states.join(' or ')}, found ${await found(page)} (${error.name})`);
    });
};
export const pane = async (page: Page, name: string, state: string, timeout = 20_000): Promise<void> => {
  await page.waitForSelector(`.pane-${name}[data-state="${state}"]`, { timeout }).catch(async () => {
    throw new Error(`pane ${name}: expected ${state}, found ${await found(page)}`);
  });
};
const found = (page: Page): Promise<string> =>
  page.$$eval('.pane, .badge', (all) =>
    all
      .map(
        (one) =>
          `${one.className}: ${(one as HTMLElement).dataset.state} ${one.classList.contains('badge') ? one.textContent : ''}`,
      )
      .join(', '),
  );

/** Waits until the chain strip has counted `blocks` more blocks. */
export const pass = async (page: Page, blocks: number, timeout = 60_000): Promise<void> => {
  const from = await page.$eval('.strip', (strip) => Number((strip as HTMLElement).dataset.block));
  await page.waitForFunction((to) => Number(document.querySelector<HTMLElement>('.strip')?.dataset.block) >= to, from + blocks, {
    timeout,
  });
};

export const badge = (page: Page, state: string, timeout = 20_000): Promise<unknown> =>
  page.waitForSelector(`.badge[data-state="${state}"]`, { timeout });

/** Market of the page, as its address names it. */
export const marketName = (page: Page): string => decodeURIComponent(new URL(page.url()).pathname.split('/').at(-1) ?? '');

/** GET of the stack as JSON. */
export const get = async <T>(path: string): Promise<T> => {
  const answer = await fetch(api() + path);
  if (!answer.ok) throw new Error(`GET ${path}: ${answer.status} ${await answer.text()}`);
  return (await answer.json()) as T;
};

export const SEQ_PER_BLOCK = 2 ** 20;
export interface RestDepth {
  readonly lastUpdateId: number;
  readonly bids: readonly (readonly [string, string])[];
  readonly asks: readonly (readonly [string, string])[];
}
/** The book as the server tells it to other clients. */
export const restDepth = (name: string): Promise<RestDepth> =>
  get(`/api/v3/depth?symbol=${name.replace(/[^A-Za-z0-9]/g, '').toUpperCase()}&limit=100`);

/** "3,001.00" and "3001.00000000" are the same number; compared as text without idle zeros, never as floats. */
export const plain = (text: string): string =>
  text
    .replaceAll(',', '')
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '');
export const plainRows = (rows: readonly (readonly [string, string])[], count: number): string[] =>
  rows.slice(0, count).map(([price, size]) => `${plain(price)} x ${plain(size)}`);

/** Blocks at which page and server were both read, and how often they agreed. Throws with both books at the first difference. */
export const compareBooks = async (page: Page, wanted: number, timeout_ms: number): Promise<number> => {
  const name = marketName(page);
  const until = Date.now() + timeout_ms;
  const compared = new Set<number>();
  while (compared.size < wanted && Date.now() < until) {
    const depth = await restDepth(name);
    const block = Math.floor(depth.lastUpdateId / SEQ_PER_BLOCK);
    if (compared.has(block)) continue;
    // The page may paint this block a moment later, or have skipped it for the next one.
    const seen = await page
      .waitForFunction(
        (at) =>
          [...window.seen.values()].some((one) => one.block >= at) && {
            one: [...window.seen.values()].find((one) => one.block === at) ?? null,
          },
        block,
        { timeout: 5_000 },
      )
      .then((handle) => handle.jsonValue() as Promise<{ one: Seen | null }>);
    if (seen.one === null) continue;
    for (const side of ['bids', 'asks'] as const) {
      const rows = seen.one[side].length;
      const mine = plainRows(seen.one[side], rows);
      const theirs = plainRows(depth[side], rows);
      if (mine.join() !== theirs.join())
        throw new Error(
          `block ${block}, ${side}: the page shows\n  ${mine.join('\n  ')}\nthe server says\n  ${theirs.join('\n  ')}`,
        );
    }
    compared.add(block);
  }
  return compared.size;
};
