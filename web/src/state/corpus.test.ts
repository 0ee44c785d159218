/**
 * The scenario corpus, as this page reads it: follows the `=>` lines of `orderbook/testdata/*.book` with its own `Book` and compares each
 * drawn book. The engine, the contract and the replaying book of the api are held to the same files, so all four read one specification.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { lots, ticks } from '../units.ts';
import { Book, type Side } from './book.ts';

const FOLDER = new URL('../../../orderbook/testdata/', import.meta.url).pathname;
const FILES = existsSync(FOLDER) ? readdirSync(FOLDER).filter((name) => name.endsWith('.book')) : [];

interface Resting {
  readonly book: Book;
  readonly side: Side;
  readonly ticks: number;
  left: number;
}

/** `1_000` is 1000 in the corpus. */
const number = (text: string | undefined): number => Number((text ?? '').replaceAll('_', ''));

class Follower {
  readonly #books = new Map<number, Book>();
  readonly #orders = new Map<string, Resting>();

  book(market: number): Book {
    const known = this.#books.get(market) ?? new Book();
    this.#books.set(market, known);
    return known;
  }

  /** One outcome without its arrow; those that do not touch a book are passed over. */
  follow(outcome: string): void {
    const words = outcome.trim().split(/\s+/);
    const at = words.indexOf('in');
    const market = at < 0 ? 1 : number(words[at + 1]);
    if (words[0] === 'placed') {
      const [, name = '', side = '', size, , price] = words;
      const order: Resting = { book: this.book(market), side: side as Side, ticks: number(price), left: 0 };
      this.#orders.set(name, order);
      this.#change(order, number(size));
    } else if (words[0] === 'fill') {
      const maker = (words[1] ?? '').split('/')[1] ?? '';
      this.#change(this.#order(maker, outcome), -number(words[2]));
    } else if (words[0] === 'reduced') {
      const order = this.#order(words[1] ?? '', outcome);
      this.#change(order, number(words[2]) - order.left);
    }
  }

  #order(name: string, outcome: string): Resting {
    const order = this.#orders.get(name);
    if (order === undefined) throw new Error(`${outcome}: no order is called ${name}`);
    return order;
  }

  #change(order: Resting, by: number): void {
    const was = order.book.level(order.side, ticks(order.ticks));
    const orders = (was?.orders ?? 0) + (order.left === 0 ? 1 : 0) - (order.left + by === 0 ? 1 : 0);
    order.left += by;
    order.book.put(order.side, { ticks: ticks(order.ticks), lots: lots((was?.lots ?? 0) + by), orders });
  }
}

/** `2+3 @ 99, 4 @ 100 | 7 @ 101`, told as level rows: bids rising to the bar, asks rising from it. */
const drawn = (text: string): { bids: number[][]; asks: number[][] } => {
  const side = (half: string): number[][] =>
    half
      .split(',')
      .filter((part) => part.trim() !== '')
      .map((part) => {
        const [queue = '', price] = part.split('@');
        const left = queue.split('+').map((one) => number(one.trim()));
        return [number(price?.trim()), left.reduce((a, b) => a + b, 0), left.length];
      });
  const [bids = '', asks = ''] = text.split('|');
  return { bids: side(bids), asks: side(asks) };
};
const rows = (book: Book, side: Side): number[][] => {
  const all = book.rows(side, 1, 10_000).map((row) => [row.ticks, row.lots, row.orders]);
  return side === 'bid' ? all.reverse() : all;
};

describe('the scenario corpus', () => {
  test('is there', () => {
    expect(
      FILES.length,
      `no .book file in ${FOLDER}: the corpus is not in this tree, and nothing below was checked`,
    ).toBeGreaterThanOrEqual(25);
  });

  test.each(FILES)('%s: the book that follows its events is the book it draws', (file) => {
    const follower = new Follower();
    readFileSync(FOLDER + file, 'utf8')
      .split('\n')
      .forEach((line, i) => {
        if (line.trim().startsWith('=>')) follower.follow(line.replace('=>', ''));
        const drawing = /^book(?: (\d+))?:(.*)$/.exec(line);
        if (drawing === null) return;
        const book = follower.book(number(drawing[1] ?? '1'));
        expect({ bids: rows(book, 'bid'), asks: rows(book, 'ask') }, `${file}:${i + 1}: ${line}`).toEqual(
          drawn(drawing[2] ?? ''),
        );
        expect(book.crossed(), `${file}:${i + 1} is crossed`).toBe(false);
      });
  });
});
