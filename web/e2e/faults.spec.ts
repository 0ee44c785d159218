/** Faults on real frames, between browser and server: the page says what it does not know, and mends itself. */
import type { WebSocketRoute } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { api, badge, compareBooks, open, pane, panes, pass, withBrowser } from './harness.ts';

withBrowser();

type Send = (raw: string) => void;
/** What to do with each frame of the server; `send` passes one on. */
type Fault = (raw: string, send: Send, socket: WebSocketRoute) => void;
const pass_on: Fault = (raw, send) => send(raw);

/** A wire whose fault can be changed while the page is open. */
const wire = (first: Fault = pass_on) => {
  const state = { fault: first, socket: null as WebSocketRoute | null, opened: 0 };
  return {
    state,
    route: (socket: WebSocketRoute): void => {
      const server = socket.connectToServer();
      state.socket = socket;
      state.opened++;
      server.onMessage((raw) => state.fault(String(raw), (one) => socket.send(one), socket));
    },
  };
};
const counters = async (page: import('playwright-core').Page): Promise<Record<string, number>> => {
  await page.click('button[aria-label="Settings"]');
  const rows = await page.$$eval('.counters', ([list]) => {
    const names = [...(list?.querySelectorAll('dt') ?? [])].map((one) => one.textContent ?? '');
    const values = [...(list?.querySelectorAll('dd') ?? [])].map((one) => Number(one.textContent));
    return names.map((name, i): [string, number] => [name, values[i] ?? -1]);
  });
  await page.keyboard.press('Escape');
  return Object.fromEntries(rows);
};
const of = (raw: string, channel: string): boolean =>
  raw.startsWith(`{"channel":"${channel}"`) || (JSON.parse(raw) as { channel?: string }).channel === channel;

/** Faults that come and go; afterwards the book must be the server's, and no frame may have been crossed. */
const lossy: readonly (readonly [string, () => Fault])[] = [
  [
    'one in ten frames lost',
    () => {
      let n = 0;
      return (raw, send) => {
        if (of(raw, 'depth') || of(raw, 'trades')) n++;
        if (n % 10 !== 9 || raw.startsWith('{"op"')) send(raw);
        else n++;
      };
    },
  ],
  [
    'every frame sent twice',
    () => (raw, send) => {
      send(raw);
      send(raw);
    },
  ],
  [
    'neighbours swapped',
    () => {
      let held: string | null = null;
      let n = 0;
      return (raw, send) => {
        if (!of(raw, 'depth') || raw.includes('"snapshot"')) return send(raw);
        if (held !== null) {
          send(raw);
          send(held);
          held = null;
        } else if (++n % 20 === 0) held = raw;
        else send(raw);
      };
    },
  ],
];

describe.each(lossy)('%s', (_, make) => {
  test('the book on the screen stays the server’s and is never crossed', async () => {
    const line = wire();
    const { page, context } = await open('/', {}, line.route);
    await panes(page);
    line.state.fault = make();
    await pass(page, 30);
    line.state.fault = pass_on;
    await panes(page);
    await page.evaluate(() => window.seen.clear());
    expect(await compareBooks(page, 3, 20_000)).toBe(3);
    expect(await page.evaluate(() => window.crossed)).toEqual([]);
    const counted = await counters(page);
    expect((counted['gaps mended'] ?? 0) + (counted['messages ignored'] ?? 0)).toBeGreaterThan(0);
    await context.close();
  });
});

test('a feed that is three seconds late turns stale within two, and live within one after it flows', async () => {
  const line = wire();
  const { page, context } = await open('/', {}, line.route);
  await panes(page);
  const held: string[] = [];
  line.state.fault = (raw, send) => (raw.startsWith('{"op"') ? send(raw) : held.push(raw));
  const silent_from = Date.now();
  await badge(page, 'stale', 5_000);
  const stale_after = Date.now() - silent_from;
  await pane(page, 'ladder', 'stale');
  expect(await page.$eval('.pane-ladder .ladder', (ladder) => getComputedStyle(ladder).opacity)).toBe('0.5');
  await page.waitForFunction(() => /chain paused|no answer/.test(document.querySelector('.badge')?.textContent ?? ''));
  await page.waitForFunction((from) => Date.now() - from >= 3_000, silent_from);
  const socket = line.state.socket as WebSocketRoute;
  line.state.fault = pass_on;
  for (const raw of held) socket.send(raw);
  const flows_from = Date.now();
  await badge(page, 'live', 5_000);
  expect(Date.now() - flows_from).toBeLessThan(1_500);
  expect(stale_after).toBeLessThan(2_600);
  await panes(page);
  expect(await compareBooks(page, 2, 20_000)).toBe(2);
  expect(await page.evaluate(() => window.crossed)).toEqual([]);
  await context.close();
});

test('cut twenty times, it comes back twenty times, and the book is right at the end', async () => {
  const line = wire();
  const { page, context } = await open('/', {}, line.route);
  await panes(page);
  for (let cut = 0; cut < 20; cut++) {
    const opened = line.state.opened;
    await line.state.socket?.close({ code: 1012, reason: 'test' });
    // Retry at once: the pauses of the page grow, and twenty of them are minutes. Never while it is open: that would be a cut of its own.
    await expect
      .poll(
        async () => {
          if (line.state.opened === opened) await page.evaluate(() => window.dispatchEvent(new Event('online')));
          return line.state.opened;
        },
        { timeout: 15_000, interval: 100 },
      )
      .toBe(opened + 1);
    await badge(page, 'live');
  }
  await panes(page);
  await page.evaluate(() => window.seen.clear());
  expect(await compareBooks(page, 3, 20_000)).toBe(3);
  expect(await page.evaluate(() => window.crossed)).toEqual([]);
  expect((await counters(page)).reconnects).toBe(20);
  await context.close();
});

test('a wrong checksum is never painted: three in a minute are an error that says what came, and Retry mends it', async () => {
  const spoil: Fault = (raw, send) => {
    if (!of(raw, 'depth')) return send(raw);
    send(raw.replace(/"crc":(\d+)/, (_, crc: string) => `"crc":${(Number(crc) ^ 1) >>> 0}`));
  };
  const line = wire(spoil);
  const { page, context } = await open('/', {}, line.route);
  await pane(page, 'ladder', 'error');
  expect(await page.textContent('.pane-ladder .pane-words')).toMatch(/failed their check \(checksum expected \d+, found \d+\)/);
  expect(await page.evaluate(() => window.painted)).toBe(0);
  // The others go on.
  await pane(page, 'trades', 'live');
  await pane(page, 'chart', 'live');
  line.state.fault = pass_on;
  await page.click('.pane-ladder button:text-is("Retry now")');
  await panes(page);
  expect(await compareBooks(page, 2, 20_000)).toBe(2);
  await context.close();
});

test('a frame of a known kind and wrong shape is a gap, one of an unknown kind is ignored', async () => {
  const line = wire();
  const { page, context, errors } = await open('/', {}, line.route);
  await panes(page);
  let spoilt = 0;
  line.state.fault = (raw, send) => {
    if (spoilt > 0 || !of(raw, 'trades')) return send(raw);
    spoilt++;
    send('{"channel":"moon","sub":1,"type":"update","data":{}}');
    send('not json at all');
    send(raw.replace(/"data":.*$/, '"data":{"never":"so"}}'));
  };
  await page.waitForFunction(() => Number(document.querySelector<HTMLElement>('.trade-list')?.dataset.trade) > 0);
  await pass(page, 40);
  await panes(page);
  const counted = await counters(page);
  expect(spoilt).toBe(1);
  expect(counted['gaps mended']).toBeGreaterThanOrEqual(1);
  expect(counted['messages ignored']).toBeGreaterThanOrEqual(2);
  expect(errors).toEqual([]);
  await context.close();
});

test('an empty market says what comes next instead of showing nothing', async () => {
  const empty: Fault = (raw, send) => {
    if (of(raw, 'trades') && !raw.startsWith('{"op"')) return;
    if (!of(raw, 'depth')) return send(raw);
    if (raw.includes('"snapshot"'))
      send(
        raw
          .replace(/"bids":\[.*?\]\](?=,)|"bids":\[\]/, '"bids":[]')
          .replace(/"asks":\[.*?\]\](?=,)|"asks":\[\]/, '"asks":[]')
          .replace(/"crc":\d+/, '"crc":0'),
      );
  };
  const { page, context } = await open('/', {}, wire(empty).route);
  await pane(page, 'ladder', 'empty');
  expect(await page.textContent('.pane-ladder .pane-words')).toContain('The book is empty');
  await pane(page, 'trades', 'empty');
  expect(await page.textContent('.pane-trades .pane-words')).toContain('No trades');
  await context.close();
});

test('without a server the page says so, counts down, and is live by itself once there is one', async () => {
  const { page, context } = await open('/');
  await context.route(/\/(config\.json|v1\/)/, (route) => route.abort());
  await page.reload({ waitUntil: 'domcontentloaded' });
  await pane(page, 'chart', 'loading');
  await page.waitForSelector('.pane-chart .pane-words:has-text("waiting for candles")');
  await pane(page, 'ladder', 'offline', 15_000);
  expect(await page.textContent('.pane-ladder .pane-words')).toMatch(/the server does not answer.*Next try in \d+ s/);
  expect(await page.textContent('.badge')).toContain('offline');
  await context.unroute(/\/(config\.json|v1\/)/);
  await page.click('.pane-ladder button:text-is("Retry now")');
  await panes(page);
  expect(new URL(page.url()).origin).toBe(new URL(api()).origin);
  await context.close();
});
