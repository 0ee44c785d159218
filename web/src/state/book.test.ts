import { describe, expect, test } from 'vitest';
import { seeded } from '../testing.ts';
import { lots, ticks } from '../units.ts';
import { Book, type Side } from './book.ts';
import { crc32 } from './crc.ts';

const put = (book: Book, side: Side, at: number, size: number, orders = 1): void =>
  book.put(side, { ticks: ticks(at), lots: lots(size), orders: size === 0 ? 0 : orders });

describe('the checksum', () => {
  test("is the api's example, digit for digit", () => {
    const book = new Book();
    put(book, 'bid', 300000, 1000);
    put(book, 'ask', 300200, 500);
    put(book, 'ask', 300100, 12500, 2);
    expect(book.crc()).toBe(278947946);
    put(book, 'ask', 300200, 0);
    expect(book.crc()).toBe(3557125923);
  });
  test('of nothing is 0, of the usual check text the usual value', () => {
    expect(new Book().crc()).toBe(0);
    expect(crc32('123456789')).toBe(0xcbf43926);
  });
  test('covers ten levels a side and no more', () => {
    const book = new Book();
    for (let i = 0; i < 10; i++) put(book, 'bid', 100 - i, 1);
    const ten = book.crc();
    put(book, 'bid', 50, 9);
    expect(book.crc()).toBe(ten);
    put(book, 'bid', 91, 2);
    expect(book.crc()).not.toBe(ten);
  });
});

describe('the book', () => {
  test('equals a plain map after each of 100,000 random changes', () => {
    const { below } = seeded();
    const book = new Book();
    const naive = { bid: new Map<number, number>(), ask: new Map<number, number>() };
    for (let i = 0; i < 100_000; i++) {
      const side: Side = below(2) === 0 ? 'bid' : 'ask';
      const at = side === 'bid' ? 500 - below(300) : 501 + below(300);
      const size = below(3) === 0 ? 0 : 1 + below(1_000_000);
      put(book, side, at, size);
      if (size === 0) naive[side].delete(at);
      else naive[side].set(at, size);
      const best =
        naive[side].size === 0 ? null : side === 'bid' ? Math.max(...naive[side].keys()) : Math.min(...naive[side].keys());
      // Plain comparisons: a hundred thousand `expect` calls take longer than what they check.
      if ((book.best(side)?.ticks ?? null) !== best)
        throw new Error(`change ${i}: best ${side} expected ${best}, found ${book.best(side)?.ticks}`);
      if (i % 1000 !== 0) continue;
      for (const each of ['bid', 'ask'] as const) {
        const sorted = [...naive[each]].sort((a, b) => (each === 'bid' ? b[0] - a[0] : a[0] - b[0]));
        expect(book.count(each)).toBe(sorted.length);
        expect(sorted.map((_, n) => [book.best(each, n)?.ticks, book.best(each, n)?.lots])).toEqual(sorted);
      }
    }
  });
  test('knows when it is crossed', () => {
    const book = new Book();
    put(book, 'bid', 10, 1);
    expect(book.crossed()).toBe(false);
    put(book, 'ask', 11, 1);
    expect(book.crossed()).toBe(false);
    put(book, 'ask', 10, 1);
    expect(book.crossed()).toBe(true);
  });
  test('a deleted level that was never there changes nothing', () => {
    const book = new Book();
    put(book, 'bid', 10, 5);
    put(book, 'bid', 9, 0);
    expect(book.count('bid')).toBe(1);
    expect(book.level('bid', ticks(10))?.lots).toBe(5);
    expect(book.level('bid', ticks(9))).toBeNull();
  });
});

describe('rows of the ladder', () => {
  const book = new Book();
  for (const [at, size] of [
    [1009, 1],
    [1007, 2],
    [1000, 4],
    [999, 8],
    [980, 16],
  ] as const)
    put(book, 'bid', at, size);
  for (const [at, size] of [
    [1011, 1],
    [1019, 2],
    [1020, 4],
    [1021, 8],
    [1045, 16],
  ] as const)
    put(book, 'ask', at, size);
  const plain = (side: Side, group: number, rows = 9) =>
    book.rows(side, group, rows).map((row) => [row.ticks, row.lots, row.total]);

  test('ungrouped: each level, with the running total from the best', () => {
    expect(plain('bid', 1)).toEqual([
      [1009, 1, 1],
      [1007, 2, 3],
      [1000, 4, 7],
      [999, 8, 15],
      [980, 16, 31],
    ]);
  });
  test('bids go down to the group, asks up: no row shows a better price than it has', () => {
    expect(plain('bid', 10)).toEqual([
      [1000, 7, 7],
      [990, 8, 15],
      [980, 16, 31],
    ]);
    expect(plain('ask', 10)).toEqual([
      [1020, 7, 7],
      [1030, 8, 15],
      [1050, 16, 31],
    ]);
    expect(plain('bid', 100)).toEqual([
      [1000, 7, 7],
      [900, 24, 31],
    ]);
    expect(plain('ask', 100)).toEqual([[1100, 31, 31]]);
  });
  test('a full row is whole even when it is the last one shown', () => {
    expect(plain('bid', 10, 1)).toEqual([[1000, 7, 7]]);
    expect(plain('ask', 1, 2)).toEqual([
      [1011, 1, 1],
      [1019, 2, 3],
    ]);
  });
  test('an empty side has no rows', () => {
    expect(new Book().rows('ask', 10, 5)).toEqual([]);
  });
});
