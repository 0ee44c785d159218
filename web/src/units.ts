/**
 * The page's numbers. Prices are `Ticks`, sizes are `Lots`: integers, kept apart by their brand.
 * The only file of the page where a decimal point is made or read; everybody else calls it last.
 * Never rounds what a person typed: `parse` refuses a number that is off the grid.
 */

/** Price, in steps of the market's tick. */
export type Ticks = number & { readonly unit: 'ticks' };
/** Size, in steps of the market's lot. */
export type Lots = number & { readonly unit: 'lots' };

/** A decimal step, as `mantissa / 10^decimals`: "0.01" is 1 / 10^2, "0.5" is 5 / 10^1. */
export interface Step {
  readonly mantissa: number;
  readonly decimals: number;
}

/** Checks that `n` is a whole number below 2^53 that is not negative. */
const whole = (n: number, what: string): number => {
  if (!Number.isSafeInteger(n) || n < 0) throw new RangeError(`expected ${what} as a whole number below 2^53, found ${n}`);
  return n;
};
export const ticks = (n: number): Ticks => whole(n, 'ticks') as Ticks;
export const lots = (n: number): Lots => whole(n, 'lots') as Lots;
/** Sum of two sizes; throws above 2^53 - 1 rather than being wrong. */
export const addLots = (a: Lots, b: Lots): Lots => whole(a + b, 'a sum of lots') as Lots;

/** Reads the step of a market, such as "0.01" or "5". Throws on anything but a positive plain decimal. */
export const step = (text: string): Step => {
  const match = /^(\d{1,15})(?:\.(\d{1,15}))?$/.exec(text);
  if (match === null) throw new RangeError(`expected a decimal step such as "0.01", found ${JSON.stringify(text)}`);
  const fraction = (match[2] ?? '').replace(/0+$/, '');
  const mantissa = Number((match[1] ?? '') + fraction);
  if (!Number.isSafeInteger(mantissa) || mantissa === 0) throw new RangeError(`expected a positive step, found ${text}`);
  return { mantissa, decimals: fraction.length };
};

/** Puts the decimal point into a whole number, given as digits: ("1234", 2) is "12.34". */
const point = (digits: string, decimals: number): string => {
  if (decimals === 0) return digits;
  const padded = digits.padStart(decimals + 1, '0');
  const at = padded.length - decimals;
  return `${padded.slice(0, at)}.${padded.slice(at)}`;
};

const grouped = (text: string): string => {
  const dot = text.indexOf('.');
  const head = dot < 0 ? text : text.slice(0, dot);
  return head.replace(/\B(?=(\d{3})+(?!\d))/g, ',') + (dot < 0 ? '' : text.slice(dot));
};

/** `count` steps as an exact decimal: (300100, 0.01) is "3001.00". Exact above 2^53 too. */
export const format = (count: number, grid: Step): string => {
  const product = count * grid.mantissa;
  const digits = Number.isSafeInteger(product) ? String(product) : (BigInt(count) * BigInt(grid.mantissa)).toString();
  return point(digits, grid.decimals);
};
/** As `format`, thousands apart: "3,001.00". */
export const formatGrouped = (count: number, grid: Step): string => grouped(format(count, grid));

/** As `format` with at most `digits` figures after the point; the rest is cut off, not rounded up. For headlines, never for orders. */
export const formatShort = (count: number, grid: Step, digits: number): string => {
  const text = formatGrouped(count, grid);
  const dot = text.indexOf('.');
  if (dot < 0) return text;
  return digits === 0 ? text.slice(0, dot) : text.slice(0, dot + 1 + digits);
};

/** Atoms of a token (a whole number as text) in token units, cut after `digits` figures: ("1500500000", 6, 2) is "1,500.50". */
export const formatAtoms = (atoms: bigint, decimals: number, digits: number): string => {
  const text = grouped(point(atoms.toString(), decimals));
  const dot = text.indexOf('.');
  if (dot < 0) return text;
  return digits === 0 ? text.slice(0, dot) : text.slice(0, dot + 1 + digits);
};

/** What a person typed, in steps. `null` if it is no plain decimal; `{ below, above }` (in steps) if it is off the grid. */
export const parse = (text: string, grid: Step): number | null | { readonly below: number; readonly above: number } => {
  const match = /^(\d{1,18})(?:\.(\d{0,18}))?$/.exec(text.trim().replaceAll(',', ''));
  if (match === null) return null;
  const fraction = (match[2] ?? '').replace(/0+$/, '');
  const scale = Math.max(fraction.length, grid.decimals);
  const value = BigInt((match[1] ?? '') + fraction.padEnd(scale, '0'));
  const unit = BigInt(grid.mantissa) * 10n ** BigInt(scale - grid.decimals);
  const below = Number(value / unit);
  if (!Number.isSafeInteger(below)) return null;
  return value % unit === 0n ? below : { below, above: below + 1 };
};

/** Change from `open` to `last` as a signed percentage with two figures: "+1.38%". "0.00%" when there is no open. */
export const percent = (open: number, last: number): string => {
  if (open === 0) return '0.00%';
  const hundredths = Math.round(((last - open) * 10_000) / open);
  const sign = hundredths > 0 ? '+' : hundredths < 0 ? '-' : '';
  return `${sign}${point(String(Math.abs(hundredths)), 2)}%`;
};

/** A count for a headline: 950, 12.3k, 4.56M. */
export const compact = (n: number): string => {
  if (n < 10_000) return grouped(String(Math.round(n)));
  if (n < 1_000_000) return `${point(String(Math.floor(n / 100)), 1)}k`;
  if (n < 1_000_000_000) return `${point(String(Math.floor(n / 10_000)), 2)}M`;
  return `${point(String(Math.floor(n / 10_000_000)), 2)}G`;
};

/** A size for a narrow column: whole and exact while it is short, else 12.34k or 4.567M. */
export const formatNarrow = (count: number, grid: Step, width: number): string => {
  const exact = formatGrouped(count, grid);
  if (exact.length <= width) return exact;
  const head = Math.floor((count * grid.mantissa) / 10 ** grid.decimals);
  if (head < 10_000) return exact.slice(0, Math.max(width, exact.indexOf('.') < 0 ? exact.length : exact.indexOf('.')));
  return compact(head);
};

/** A size for an axis: whole steps without idle zeros, 0.25, 40, 1,200, 12.3k. */
export const formatAxis = (count: number, grid: Step): string => {
  const head = Math.floor((count * grid.mantissa) / 10 ** grid.decimals);
  if (head >= 10_000) return compact(head);
  const text = formatShort(count, grid, 3);
  return text.includes('.') ? text.replace(/\.?0+$/, '') : text;
};

/** Hundredths as text, for rates: (1234) is "12.34". */
export const hundredths = (n: number): string => grouped(point(String(Math.round(n)), 2));

const two = (n: number): string => String(n).padStart(2, '0');
/** Clock time of a moment: "14:03:27", in UTC or in the viewer's zone. */
export const clock = (time_ms: number, utc: boolean): string => {
  const d = new Date(time_ms);
  return utc
    ? `${two(d.getUTCHours())}:${two(d.getUTCMinutes())}:${two(d.getUTCSeconds())}`
    : `${two(d.getHours())}:${two(d.getMinutes())}:${two(d.getSeconds())}`;
};
