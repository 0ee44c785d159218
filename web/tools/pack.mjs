/** After the build: writes `dist/THIRD_PARTY.txt` and a `.br` and a `.gz` beside every text asset. No network. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { extname, join } from 'node:path';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';

const DIST = new URL('../dist/', import.meta.url).pathname;
const ROOT = new URL('../', import.meta.url).pathname;
/** What ends up in the page; the texts of those whose package carries none are kept in `licenses/`. */
const SHIPPED = [
  'solid-js',
  'lightweight-charts',
  'fancy-canvas',
  '@fontsource-variable/inter',
  '@fontsource-variable/jetbrains-mono',
];

const licence = (name) => {
  const found = ['LICENSE', 'LICENSE.md', 'LICENSE.txt'].map((file) => join(ROOT, 'node_modules', name, file)).find(existsSync);
  const own = join(ROOT, 'licenses', `${name.replace('/', '-')}.txt`);
  if (found === undefined && !existsSync(own))
    throw new Error(`${name}: expected a licence text in its package or in ${own}, found none`);
  return readFileSync(found ?? own, 'utf8').trim();
};
const section = (name) => {
  const { version, license } = JSON.parse(readFileSync(join(ROOT, 'node_modules', name, 'package.json'), 'utf8'));
  const notice = join(ROOT, 'licenses', `NOTICE-${name}.txt`);
  const extra = existsSync(notice) ? `\n\nNOTICE\n${readFileSync(notice, 'utf8').trim()}` : '';
  return `${'='.repeat(100)}\n${name} ${version} (${license})\n${'='.repeat(100)}\n\n${licence(name)}${extra}\n`;
};
writeFileSync(
  join(DIST, 'THIRD_PARTY.txt'),
  `The hifi page contains the work of others. Their licences, in full:\n\n${SHIPPED.map(section).join('\n')}`,
);

const TEXT = new Set(['.html', '.js', '.css', '.svg', '.txt', '.json']);
for (const entry of readdirSync(DIST, { recursive: true, withFileTypes: true })) {
  const path = join(entry.parentPath, entry.name);
  if (!entry.isFile() || !TEXT.has(extname(entry.name))) continue;
  const bytes = readFileSync(path);
  writeFileSync(`${path}.gz`, gzipSync(bytes, { level: 9 }));
  writeFileSync(`${path}.br`, brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length } }));
}
