/** What the page costs, measured in the browser; figures and screenshots are kept in `e2e/out`. */
import { writeFileSync } from 'node:fs';
import { loadavg } from 'node:os';
import { expect, test } from 'vitest';
import { OUT, open, panes, pass, withBrowser } from './harness.ts';

withBrowser();

test('first paint, shifts, nodes and CPU stay within their budgets', async () => {
  const runs: Record<string, number>[] = [];
  for (let run = 0; run < 3; run++) {
    const { page, context } = await open('/');
    const session = await context.newCDPSession(page);
    await session.send('Performance.enable', { timeDomain: 'threadTicks' });
    await panes(page);
    await pass(page, 10);
    const task = async (): Promise<{ cpu_s: number; heap: number }> => {
      const { metrics } = await session.send('Performance.getMetrics');
      const value = (name: string): number => metrics.find((one) => one.name === name)?.value ?? 0;
      return { cpu_s: value('TaskDuration'), heap: value('JSHeapUsedSize') };
    };
    const before = await task();
    const from = Date.now();
    await pass(page, 40);
    const after = await task();
    const wall_s = (Date.now() - from) / 1000;
    const shown = await page.evaluate(
      () =>
        new Promise<{ lcp_ms: number; cls: number; nodes: number }>((done) => {
          let lcp_ms = 0;
          let cls = 0;
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) lcp_ms = entry.startTime;
          }).observe({ type: 'largest-contentful-paint', buffered: true });
          new PerformanceObserver((list) => {
            for (const entry of list.getEntries()) cls += (entry as unknown as { value: number }).value;
          }).observe({ type: 'layout-shift', buffered: true });
          requestAnimationFrame(() => setTimeout(() => done({ lcp_ms, cls, nodes: document.querySelectorAll('*').length }), 50));
        }),
    );
    runs.push({
      ...shown,
      cpu_ms_per_s: Math.round(((after.cpu_s - before.cpu_s) * 1000) / wall_s),
      heap_bytes: after.heap,
      load: loadavg()[0] ?? 0,
    });
    await context.close();
  }
  process.stdout.write(`${JSON.stringify(runs)}\n`);
  writeFileSync(`${OUT}budget.json`, `${JSON.stringify(runs, null, 1)}\n`);
  const best = (name: string): number => Math.min(...runs.map((run) => run[name] ?? Number.POSITIVE_INFINITY));
  for (const run of runs) {
    expect(run.cls).toBeLessThanOrEqual(0.01);
    expect(run.nodes).toBeLessThanOrEqual(2_500);
  }
  // Wall time and CPU lie on a machine that also runs the chain: the best of three is the page's own.
  expect(best('lcp_ms')).toBeLessThanOrEqual(1_500);
  expect(best('cpu_ms_per_s')).toBeLessThanOrEqual(250);
});

test('pictures of three widths and two themes are kept to be looked at', async () => {
  for (const theme of ['dark', 'light'] as const) {
    for (const [width, height] of [
      [1440, 900],
      [768, 1024],
      [390, 844],
    ] as const) {
      const { page, context } = await open('/', { width, height, theme });
      await panes(page);
      await page.evaluate(() => document.fonts.ready);
      await page.screenshot({ path: `${OUT}${width}-${theme}.png` });
      await context.close();
    }
  }
});
