/** For everybody: axe on every route, theme and width; keyboard; reduced motion; nothing wider than the window. */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import type { Page } from 'playwright-core';
import { describe, expect, test } from 'vitest';
import { open, panes, pass, withBrowser } from './harness.ts';

withBrowser();
const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

interface Violation {
  readonly id: string;
  readonly nodes: readonly { readonly target: readonly string[]; readonly failureSummary?: string }[];
}
/** Violations of WCAG 2.2 A and AA, each with the place. The chart's canvas is the library's own. */
const violations = async (page: Page): Promise<string[]> => {
  await page.evaluate(AXE);
  const found = await page.evaluate(async () => {
    const { axe } = window as unknown as {
      axe: { run: (context: unknown, options: unknown) => Promise<{ violations: Violation[] }> };
    };
    const result = await axe.run(
      { exclude: [['.chart']] },
      { runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] },
    );
    return result.violations;
  });
  return found.map(
    (one) => `${one.id}: ${one.nodes.map((node) => `${node.target.join(' ')} ${node.failureSummary ?? ''}`).join(' | ')}`,
  );
};
const sideways = (page: Page): Promise<number> => page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);

describe.each([1440, 768, 390])('at %i px', (width) => {
  test.each(['dark', 'light'] as const)('%s: axe finds nothing, nothing is wider than the window', async (theme) => {
    const { page, context } = await open('/', { width, height: width === 1440 ? 900 : 844, theme });
    await panes(page);
    expect(await violations(page)).toEqual([]);
    expect(await sideways(page)).toBeLessThanOrEqual(0);
    if (width === 390) {
      for (const tab of ['Book', 'Trades', 'Chain']) {
        await page.click(`.tabs button:text-is("${tab}")`);
        await panes(page);
        expect(await violations(page), tab).toEqual([]);
        expect(await sideways(page)).toBeLessThanOrEqual(0);
      }
    }
    await context.close();
  });
});

test('dialogs, the lost route and the error state: axe finds nothing', async () => {
  const { page, context } = await open('/');
  await panes(page);
  await page.click('.market-button');
  await page.waitForSelector('.market-list button');
  expect(await violations(page)).toEqual([]);
  await page.keyboard.press('Escape');
  await page.click('button[aria-label="Settings"]');
  await page.waitForSelector('.choices');
  expect(await violations(page)).toEqual([]);
  await page.goto(`${new URL(page.url()).origin}/trade/NO-SUCH`);
  await page.waitForSelector('.pane-ladder[data-state="error"]');
  expect(await violations(page)).toEqual([]);
  await page.goto(`${new URL(page.url()).origin}/nowhere`);
  await page.waitForSelector('.lost');
  expect(await violations(page)).toEqual([]);
  await context.close();
});

test('at 360 px nothing scrolls sideways and no header figure is clipped', async () => {
  const { page, context } = await open('/', { width: 360, height: 700 });
  await panes(page);
  expect(await sideways(page)).toBeLessThanOrEqual(0);
  const clipped = await page.$$eval('.head *, .strip *, .foot *', (all) =>
    all
      .filter((one) => one.getBoundingClientRect().width > 0 && one.getBoundingClientRect().right > window.innerWidth + 0.5)
      .map((one) => `${one.tagName} ${one.className}`),
  );
  expect(clipped).toEqual([]);
  await context.close();
});

test('the keyboard alone reads the book and changes the theme', async () => {
  const { page, context } = await open('/');
  await panes(page);
  await page.keyboard.press('Tab');
  expect(await page.evaluate(() => document.activeElement?.className)).toBe('skip');
  await page.keyboard.press('Enter');
  for (let i = 0; i < 12 && !(await page.evaluate(() => document.activeElement?.classList.contains('asks') === true)); i++)
    await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowUp');
  await page.waitForFunction(() =>
    /^ask [\d.]+, size [\d.]+, total [\d.]+$/.test(document.querySelector('.ladder [role=status]')?.textContent ?? ''),
  );
  await page.keyboard.press('Tab');
  await page.keyboard.press('ArrowDown');
  await page.waitForFunction(() => /^bid [\d.]+/.test(document.querySelector('.ladder [role=status]')?.textContent ?? ''));
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() =>
    /^best bid [\d.]+ for [\d.]+, best ask/.test(document.querySelector('.ladder [role=status]')?.textContent ?? ''),
  );
  await page.focus('.foot-theme');
  await page.keyboard.press('Enter');
  expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe('light');
  await page.reload();
  await panes(page);
  expect(await page.evaluate(() => document.documentElement.dataset.theme)).toBe('light');
  await context.close();
});

test('whoever wants no motion gets none', async () => {
  const { page, context } = await open('/');
  // With motion allowed rows do flash, or the check below would prove nothing.
  await page.waitForSelector('.level[data-flash]', { state: 'attached' });
  await page.emulateMedia({ reducedMotion: 'reduce' });
  await panes(page);
  await pass(page, 5);
  await page.evaluate(() => {
    const seen = { flashes: 0 };
    Object.assign(window, { seen_flashes: seen });
    new MutationObserver(() => seen.flashes++).observe(document.body, { subtree: true, attributeFilter: ['data-flash'] });
  });
  await pass(page, 20);
  expect(await page.evaluate(() => (window as unknown as { seen_flashes: { flashes: number } }).seen_flashes.flashes)).toBe(0);
  await context.close();
});
