/** A closed house: the page talks to its own origin and nobody else, under its own content security policy. */
import { expect, test } from 'vitest';
import { api, open, panes, pass, withBrowser } from './harness.ts';

withBrowser();

test('every request of a whole visit goes to the page’s origin, and nothing breaks the policy', async () => {
  const { page, context, requests, errors } = await open('/');
  await panes(page);
  await page.click('.market-button');
  await page.keyboard.press('Escape');
  await page.click('button[aria-label="Settings"]');
  await page.click('.seg label:has-text("Light")');
  await page.keyboard.press('Escape');
  await page.click('.intervals button:text-is("5m")');
  await pass(page, 10);
  const host = new URL(api()).host;
  const foreign = requests.filter((url) => !url.startsWith('data:') && new URL(url).host !== host);
  expect(foreign).toEqual([]);
  expect(requests.some((url) => url.startsWith('ws'))).toBe(true);
  expect(requests.some((url) => url.endsWith('.woff2'))).toBe(true);
  expect(await page.evaluate(() => window.violations)).toEqual([]);
  expect(errors).toEqual([]);
  await context.close();
});

test('the server sends the policy and the other guards with the page', async () => {
  const answer = await fetch(`${api()}/trade/any`);
  expect(answer.headers.get('content-security-policy')).toContain("default-src 'self'");
  expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
  expect(answer.headers.get('content-type')).toContain('text/html');
});

test('the chart library is credited, with its link, at every width, and all licences are there', async () => {
  for (const width of [1440, 768, 390]) {
    const { page, context } = await open('/', { width, height: 844 });
    await page.waitForSelector('.credit');
    expect(await page.textContent('.credit')).toBe('TradingView Lightweight Charts, Copyright 2023 TradingView, Inc.');
    expect(await page.getAttribute('.credit a', 'href')).toBe('https://www.tradingview.com/');
    // Readable as a whole: not cut by the window.
    expect(await page.$eval('.credit', (credit) => credit.scrollWidth - credit.clientWidth)).toBeLessThanOrEqual(0);
    await context.close();
  }
  const texts = await (await fetch(`${api()}/THIRD_PARTY.txt`)).text();
  for (const name of [
    'solid-js',
    'lightweight-charts',
    'fancy-canvas',
    '@fontsource-variable/inter',
    '@fontsource-variable/jetbrains-mono',
  ])
    expect(texts).toContain(`\n${name} `);
  expect(texts).toContain('Apache License');
  expect(texts).toContain('SIL OPEN FONT LICENSE');
  expect(texts).toContain('NOTICE');
});
