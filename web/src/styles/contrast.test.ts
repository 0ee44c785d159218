import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';

/** Reads the tokens of `base.css` and computes WCAG contrast, bars and flashes mixed in as the browser mixes them. */
const css = readFileSync(new URL('./base.css', import.meta.url), 'utf8');
type Rgb = readonly [number, number, number];

const tokens = (...selectors: string[]): Map<string, string> => {
  const found = new Map<string, string>();
  for (const selector of selectors) {
    const start = css.indexOf(`${selector} {`);
    if (start < 0) throw new Error(`no rule ${selector} in base.css`);
    const body = css.slice(start, css.indexOf('}', start));
    for (const [, name, value] of body.matchAll(/(--[\w-]+): ([^;]+);/g)) found.set(name ?? '', value ?? '');
  }
  return found;
};
const rgb = (hex: string): Rgb => [1, 3, 5].map((at) => Number.parseInt(hex.slice(at, at + 2), 16)) as unknown as Rgb;
const over = (veil: string, ground: Rgb): Rgb => {
  const match = /rgb\((\d+) (\d+) (\d+) \/ ([\d.]+)\)/.exec(veil);
  if (match === null) throw new Error(`no translucent colour: ${veil}`);
  const alpha = Number(match[4]);
  return ground.map((g, i) => g * (1 - alpha) + Number(match[i + 1]) * alpha) as unknown as Rgb;
};
const luminance = (colour: Rgb): number => {
  const [r, g, b] = colour.map((v) =>
    v / 255 <= 0.03928 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4,
  ) as unknown as Rgb;
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const contrast = (a: Rgb, b: Rgb): number => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y) as [number, number];
  return (high + 0.05) / (low + 0.05);
};

describe.each([
  ['dark', [':root']],
  ['light', [':root', ':root[data-theme="light"]']],
  ['dark, second palette', [':root', ':root[data-palette="blue"]']],
  [
    'light, second palette',
    [':root', ':root[data-theme="light"]', ':root[data-palette="blue"]', ':root[data-theme="light"][data-palette="blue"]'],
  ],
] as const)('%s', (_, selectors) => {
  const token = tokens(...selectors);
  const value = (name: string): string => token.get(name) ?? '';
  const pane = rgb(value('--pane'));
  test.each(['bid', 'ask'])('prices and figures on a %s bar have 4.5 : 1', (side) => {
    // Under the bar: the pane, the light of a change, the row under the pointer.
    const grounds = { pane, flash: over(value('--flash'), pane), hover: rgb(value('--hover')) };
    for (const [name, ground] of Object.entries(grounds)) {
      const bar = over(value(`--${side}-bar`), ground);
      for (const text of [`--${side}`, '--text', '--dim']) {
        expect(contrast(rgb(value(text)), bar), `${text} on a bar over ${name}`).toBeGreaterThanOrEqual(4.5);
      }
    }
  });
  test('words have 4.5 : 1 on pane and raised ground', () => {
    for (const text of ['--text', '--dim', '--accent', '--bid', '--ask', '--warn']) {
      expect(contrast(rgb(value(text)), pane), `${text} on pane`).toBeGreaterThanOrEqual(4.5);
    }
    for (const text of ['--text', '--dim', '--warn'])
      expect(contrast(rgb(value(text)), rgb(value('--raise'))), `${text} raised`).toBeGreaterThanOrEqual(4.5);
  });
});
