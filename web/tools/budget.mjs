/** Fails the build when the page grew beyond what it promises. Sizes as sent: gzip for text, the file itself for fonts. */
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';

const ASSETS = new URL('../dist/assets/', import.meta.url).pathname;
const sum = (end) =>
  readdirSync(ASSETS)
    .filter((name) => name.endsWith(end))
    .reduce((bytes, name) => bytes + statSync(join(ASSETS, name)).size, 0);

const js = sum('.js.gz');
const css = sum('.css.gz');
const fonts = sum('.woff2');
const rows = [
  ['initial JavaScript, gzip', js, 90_000],
  ['CSS, gzip', css, 8_000],
  ['fonts', fonts, 92_000],
  ['whole first load', js + css + fonts + statSync(join(ASSETS, '../index.html.gz')).size, 300_000],
];
let over = false;
for (const [what, bytes, most] of rows) {
  const bad = bytes > most;
  over ||= bad;
  process.stdout.write(
    `${bad ? 'OVER' : 'ok  '} ${what.padEnd(26)} ${String(bytes).padStart(7)} of ${String(most).padStart(7)} bytes\n`,
  );
}
if (over) process.exit(1);
