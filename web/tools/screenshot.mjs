/**
 * `node tools/screenshot.mjs URL OUT.png [--width 1440] [--height 900] [--theme dark] [--tab Book] [--full]`
 * Takes a picture of the page once candles, ladder, trades and chain strip are live. Exit code 1 with the states when they are not within 60 s.
 */
import { parseArgs } from 'node:util';
import { launch } from '../e2e/chromium.mjs';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    width: { type: 'string', default: '1440' },
    height: { type: 'string', default: '900' },
    theme: { type: 'string', default: 'dark' },
    tab: { type: 'string' },
    interval: { type: 'string' },
    open: { type: 'string' },
    full: { type: 'boolean', default: false },
  },
});
const [url, out] = positionals;
if (url === undefined || out === undefined) {
  process.stderr.write(
    'expected: screenshot.mjs URL OUT.png [--width N] [--height N] [--theme dark|light] [--tab NAME] [--interval 1m] [--open Settings] [--full]\n',
  );
  process.exit(2);
}
const browser = await launch();
try {
  const page = await browser.newPage({
    viewport: { width: Number(values.width), height: Number(values.height) },
    colorScheme: values.theme,
  });
  await page.goto(url, { waitUntil: 'domcontentloaded' });
  await page.waitForSelector('.page', { timeout: 30_000 });
  if (values.tab !== undefined) await page.click(`.tabs button:has-text("${values.tab}")`);
  if (values.interval !== undefined) await page.click(`.intervals button:has-text("${values.interval}")`);
  // Live, and moving: the strip counts blocks, and everything in sight has something in it.
  await page
    .waitForFunction(
      () => {
        const live = [...document.querySelectorAll('.pane, .strip')].every((part) => part.dataset.state === 'live');
        const candles = document.querySelector('.chart');
        const trades = document.querySelector('.trade-list');
        return (
          live &&
          (candles === null || Number(candles.dataset.candles) > 0) &&
          (trades === null || Number(trades.dataset.trade) > 0)
        );
      },
      null,
      { timeout: 60_000 },
    )
    .catch(async () => {
      const states = await page.$$eval('.pane, .strip', (parts) =>
        parts.map((part) => `${part.className}: ${part.dataset.state}`),
      );
      throw new Error(`not live within 60 s: ${states.join(', ')}`);
    });
  const block = await page.$eval('.strip', (strip) => Number(strip.dataset.block));
  await page.waitForFunction((from) => Number(document.querySelector('.strip').dataset.block) >= from + 20, block, {
    timeout: 60_000,
  });
  if (values.open !== undefined)
    await page.click(`button:has-text("${values.open}"), button[aria-label="${values.open}"], .${values.open}`);
  await page.evaluate(() => document.fonts.ready);
  await page.screenshot({ path: out, fullPage: values.full });
} catch (error) {
  process.stderr.write(`${error.message}\n`);
  process.exitCode = 1;
} finally {
  await browser.close();
}
