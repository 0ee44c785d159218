/** The market page under real trading: what it shows is what the server says, block by block. */
import { expect, test } from 'vitest';
import { compareBooks, get, marketName, open, pane, panes, pass, plain, withBrowser } from './harness.ts';

withBrowser();

test('the first market opens by itself, live, with candles, ladder, trades and moving chain figures', async () => {
  const { page, context, errors } = await open('/');
  await panes(page);
  expect(marketName(page)).toMatch(/^[A-Z0-9]+-[A-Z0-9]+$/);
  expect(await page.$$eval('.asks .level', (rows) => rows.length)).toBeGreaterThanOrEqual(8);
  expect(Number(await page.getAttribute('.chart', 'data-candles'))).toBeGreaterThan(1);
  expect(Number(await page.getAttribute('.trade-list', 'data-trade'))).toBeGreaterThan(0);
  expect(await page.textContent('.badge')).toBe('live');
  await pass(page, 20);
  expect(await page.title()).toMatch(/^[\d,.]+ \S+ · hifi$/);
  expect(await page.textContent('.strip')).toMatch(/speed-up\s*-/);
  expect(errors).toEqual([]);
  await context.close();
});

test('the ladder equals the server’s book at the same block, and is never crossed in any frame', async () => {
  const { page, context } = await open('/');
  await panes(page);
  const compared = await compareBooks(page, 40, 35_000);
  expect(compared).toBeGreaterThanOrEqual(15);
  expect(await page.evaluate(() => window.painted)).toBeGreaterThan(50);
  expect(await page.evaluate(() => window.crossed)).toEqual([]);
  await context.close();
});

test('the trades are the server’s trades, by number, price, size and side', async () => {
  const { page, context } = await open('/');
  await panes(page);
  await page.waitForFunction(
    () => [...document.querySelectorAll<HTMLElement>('.trade')].filter((row) => !row.hidden).length >= 10,
    null,
    { timeout: 30_000 },
  );
  const shown = await page.$$eval('.trade:not([hidden])', (rows) =>
    rows.map((row) => ({
      id: Number((row as HTMLElement).dataset.trade),
      price: row.querySelector('.price')?.textContent ?? '',
      size: row.querySelector('.lots')?.textContent ?? '',
    })),
  );
  const name = marketName(page).replace('-', '');
  const trades = await get<{ id: number; price: string; qty: string; isBuyerMaker: boolean }[]>(
    `/api/v3/trades?symbol=${name}&limit=1000`,
  );
  const told = new Map(trades.map((one) => [one.id, one]));
  for (const row of shown) {
    const one = told.get(row.id);
    expect(one, `trade ${row.id}`).toBeDefined();
    if (one === undefined) continue;
    expect(plain(row.price.slice(2))).toBe(plain(one.price));
    expect(plain(row.size)).toBe(plain(one.qty));
    expect(row.price.startsWith('▼')).toBe(one.isBuyerMaker);
  }
  const ids = shown.map((row) => row.id);
  expect(ids).toEqual(ids.toSorted((a, b) => b - a));
  expect(new Set(ids).size).toBe(ids.length);
  await context.close();
});

test('the last candle is the server’s candle, at each interval', async () => {
  const { page, context } = await open('/');
  await panes(page);
  const markets = await get<{ data: { market: number; name: string }[] }>('/v1/markets');
  const market = markets.data.find((one) => one.name === marketName(page))?.market;
  const read = () =>
    page.$eval('.chart', (chart) => ({
      open: (chart as HTMLElement).dataset.open ?? '',
      last: (chart as HTMLElement).dataset.last ?? '',
    }));
  for (const interval of ['1m', '5m', '1h']) {
    await page.click(`.intervals button:text-is("${interval}")`);
    await page.waitForSelector(`.intervals button[aria-pressed="true"]:text-is("${interval}")`);
    await pane(page, 'chart', 'live');
    let equal = 0;
    for (let i = 0; i < 200 && equal < 3; i++) {
      const shown = await read();
      const answer = await get<{
        data: { open_ms: number; open: number; high: number; low: number; close: number; lots: number }[];
      }>(`/v1/candles?market=${market}&interval=${interval}&from_ms=${shown.open}&to_ms=${shown.open}&fill=prev`);
      const one = answer.data.find((candle) => candle.open_ms === Number(shown.open));
      if (one === undefined) continue;
      // The server may be a block ahead of the screen, never behind it.
      expect(one.lots).toBeGreaterThanOrEqual(Number(shown.last.split(' ')[4]));
      if (`${one.open} ${one.high} ${one.low} ${one.close} ${one.lots}` === shown.last) equal++;
    }
    expect(equal, interval).toBe(3);
  }
  await context.close();
});

test('another market is found by typing, gets its own book, and the back button returns', async () => {
  const { page, context } = await open('/');
  await panes(page);
  const first = marketName(page);
  const all = await get<{ data: { name: string }[] }>('/v1/markets');
  const other = all.data.map((one) => one.name).find((name) => name !== first);
  if (other === undefined) throw new Error('expected at least two markets');
  await page.click('.market-button');
  await page.keyboard.type(other.toLowerCase().split('-')[0] ?? '');
  await page.keyboard.press('Enter');
  await page.waitForURL(`**/trade/${other}`);
  await panes(page);
  expect(await page.textContent('.market-button')).toContain(other);
  await page.evaluate(() => window.seen.clear());
  expect(await compareBooks(page, 3, 20_000)).toBe(3);
  await page.goBack();
  await page.waitForURL(`**/trade/${first}`);
  // The address changes first, the page follows.
  await page.waitForFunction((name) => document.querySelector('.market-button')?.textContent?.includes(name), first);
  await panes(page);
  await context.close();
});

test('prices are grouped outwards: no row promises more than the book holds', async () => {
  const { page, context } = await open('/');
  await panes(page);
  const tops = () =>
    page.$eval('.ladder', (ladder) => ({
      bid: Number(ladder.querySelector('.bids .level .price')?.textContent?.replaceAll(',', '')),
      ask: Number(ladder.querySelector('.asks .level .price')?.textContent?.replaceAll(',', '')),
    }));
  const options = await page.$$eval('.group-choice option', (all) => all.map((option) => option.textContent ?? ''));
  expect(options.length).toBe(4);
  await page.selectOption('.group-choice', '100');
  await pass(page, 2);
  const grouped = await tops();
  const unit = Number(options[3]);
  expect(grouped.ask - grouped.bid).toBeGreaterThan(0);
  for (const price of [grouped.bid, grouped.ask]) expect(Math.abs(price / unit - Math.round(price / unit))).toBeLessThan(1e-6);
  await page.click('.side-button.bid');
  await page.waitForFunction(
    () => document.querySelectorAll('.asks .level').length === 0 && document.querySelectorAll('.bids .level').length > 20,
  );
  await context.close();
});

test('a market that does not exist says so and names those that do', async () => {
  const { page, context } = await open('/trade/NO-SUCH');
  await pane(page, 'ladder', 'error');
  expect(await page.textContent('.pane-ladder .pane-words')).toContain('There is no market NO-SUCH');
  await page.goto(`${new URL(page.url()).origin}/nowhere/at/all`);
  await page.waitForSelector('.lost a');
  await page.click('.lost a');
  await panes(page);
  await context.close();
});
