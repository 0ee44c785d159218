import { describe, expect, test } from 'vitest';
import { seeded } from '../testing.ts';
import { advance, blockOf, judge, type Numbered, type Seen } from './sequence.ts';

const fresh = (): Seen => ({ seq: -1, open: true });
const update = (seq: number, prev: number): Numbered => ({ type: 'update', seq, prev });
const snapshot = (seq: number): Numbered => ({ type: 'snapshot', seq, prev: 0 });

describe('a subscription', () => {
  test('takes a chain of updates and nothing twice', () => {
    const seen = fresh();
    for (const message of [snapshot(10), update(12, 10), update(20, 12)]) {
      expect(judge(seen, message, false)).toBe('apply');
      advance(seen, message);
    }
    expect(judge(seen, update(20, 12), false)).toBe('ignore');
    expect(judge(seen, update(12, 10), false)).toBe('ignore');
  });
  test('sees a missing message as a gap', () => {
    const seen = fresh();
    advance(seen, snapshot(10));
    expect(judge(seen, update(30, 20), false)).toBe('gap');
  });
  test('sees two messages in the wrong order as a gap, then ignores the late one after the resume', () => {
    const seen = fresh();
    advance(seen, snapshot(10));
    expect(judge(seen, update(30, 20), false)).toBe('gap');
    seen.open = true;
    expect(judge(seen, update(20, 10), false)).toBe('apply');
    advance(seen, update(20, 10));
    expect(judge(seen, update(30, 20), false)).toBe('apply');
    advance(seen, update(30, 20));
    expect(judge(seen, update(20, 10), false)).toBe('ignore');
  });
  test('after a resume, follows on from anything not newer than what it has seen', () => {
    const seen: Seen = { seq: 50, open: true };
    expect(judge(seen, update(60, 50), false)).toBe('apply');
    expect(judge(seen, update(60, 49), false)).toBe('apply');
    expect(judge(seen, update(60, 51), false)).toBe('gap');
  });
  test('of a conflated channel only moves forward', () => {
    const seen = fresh();
    advance(seen, update(10, 0));
    expect(judge(seen, update(30, 20), true)).toBe('apply');
    expect(judge(seen, update(10, 5), true)).toBe('apply');
    expect(judge(seen, update(9, 5), true)).toBe('ignore');
  });
  test('ends with every message exactly once, whatever is dropped, doubled or swapped, if gaps are answered by a resume', () => {
    const { below } = seeded();
    for (let round = 0; round < 200; round++) {
      const sent = Array.from({ length: 60 }, (_, i) => update((i + 1) * 10, i * 10));
      const seen = fresh();
      const applied: number[] = [];
      let at = 0;
      let turns = 0;
      while (at < sent.length) {
        if (++turns > 10_000) throw new Error('no end');
        const fault = below(8);
        const batch = fault === 0 ? [] : fault === 1 ? [sent[at], sent[at]] : fault === 2 ? [sent[at + 1], sent[at]] : [sent[at]];
        at += fault === 2 ? 2 : 1;
        for (const message of batch) {
          if (message === undefined) continue;
          const verdict = judge(seen, message, false);
          if (verdict === 'ignore') continue;
          if (verdict === 'gap') {
            at = seen.seq < 0 ? 0 : sent.findIndex((one) => one.seq > seen.seq);
            seen.open = true;
            break;
          }
          applied.push(message.seq);
          advance(seen, message);
        }
      }
      // The start has no predecessor to miss, and the last message no successor that would show its loss.
      const first = applied[0] ?? 10;
      expect(applied).toEqual(sent.map((one) => one.seq).filter((seq) => seq >= first && seq <= seen.seq));
    }
  });
});

test('the block is in the number', () => {
  expect(blockOf(4398047559697)).toBe(4194305);
  expect(blockOf(4194305 * 2 ** 20 + 7)).toBe(4194305);
});
