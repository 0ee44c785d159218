import { describe, expect, test } from 'vitest';
import { seeded } from './testing.ts';
import {
  addLots,
  compact,
  format,
  formatAtoms,
  formatAxis,
  formatGrouped,
  formatNarrow,
  formatShort,
  lots,
  parse,
  percent,
  step,
  ticks,
} from './units.ts';

describe('decimals are exact', () => {
  test('a price is ticks times the step, with all its figures', () => {
    expect(format(300100, step('0.01'))).toBe('3001.00');
    expect(format(7, step('0.25'))).toBe('1.75');
    expect(format(3, step('5'))).toBe('15');
    expect(format(0, step('0.0001'))).toBe('0.0000');
    expect(format(1, step('0.00000001'))).toBe('0.00000001');
  });
  test('products above 2^53 stay exact', () => {
    expect(format(9007199254740991, step('0.3'))).toBe('2702159776422297.3');
  });
  test('a step with idle zeros is the same step', () => {
    expect(step('0.0100')).toEqual(step('0.01'));
  });
  test('thousands are grouped before the point only', () => {
    expect(formatGrouped(123456789, step('0.0001'))).toBe('12,345.6789');
    expect(formatGrouped(100, step('1'))).toBe('100');
  });
  test('headlines cut, they never round up', () => {
    expect(formatShort(19999, step('0.0001'), 2)).toBe('1.99');
    expect(formatAtoms(1500509999n, 6, 2)).toBe('1,500.50');
    expect(formatAtoms(5n, 6, 0)).toBe('0');
  });
  test('axis and narrow figures drop what does not fit', () => {
    expect(formatAxis(400000, step('0.0001'))).toBe('40');
    expect(formatAxis(2500, step('0.0001'))).toBe('0.25');
    expect(formatNarrow(12345678, step('0.0001'), 10)).toBe('1,234.5678');
    expect(formatNarrow(1234567890, step('0.0001'), 9)).toBe('123.4k');
    expect(compact(4_567_890)).toBe('4.56M');
  });
  test('percentages carry their sign', () => {
    expect(percent(200, 202)).toBe('+1.00%');
    expect(percent(200, 199)).toBe('-0.50%');
    expect(percent(200, 200)).toBe('0.00%');
    expect(percent(0, 5)).toBe('0.00%');
  });
});

describe('what a person types', () => {
  test('is taken on the grid and refused off it, with both neighbours', () => {
    expect(parse('3,001.00', step('0.01'))).toBe(300100);
    expect(parse('3001', step('0.01'))).toBe(300100);
    expect(parse('3001.005', step('0.01'))).toEqual({ below: 300100, above: 300101 });
    expect(parse('1.1', step('0.25'))).toEqual({ below: 4, above: 5 });
    for (const bad of ['', '.', '-1', '1e3', '0x10', '1.2.3', ' ']) expect(parse(bad, step('0.01'))).toBeNull();
  });
  test('comes back from its own text, whatever the step', () => {
    const { below } = seeded();
    for (let i = 0; i < 10_000; i++) {
      const grid = step(['0.01', '0.5', '0.25', '1', '0.00000001', '5'][below(6)] ?? '1');
      const count = below(2 ** 31);
      expect(parse(format(count, grid), grid)).toBe(count);
      expect(parse(formatGrouped(count, grid), grid)).toBe(count);
    }
  });
});

describe('units refuse what they cannot hold', () => {
  test('fractions, negatives and numbers of 2^53', () => {
    for (const bad of [-1, 0.5, Number.NaN, 2 ** 53]) {
      expect(() => ticks(bad)).toThrow(RangeError);
      expect(() => lots(bad)).toThrow(RangeError);
    }
    expect(() => addLots(lots(2 ** 53 - 1), lots(1))).toThrow(RangeError);
  });
  test('steps that are no positive decimal', () => {
    for (const bad of ['0', '0.00', '-1', 'x', '', '1e-2']) expect(() => step(bad)).toThrow(RangeError);
  });
});
