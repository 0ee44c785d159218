/**
 * Decides, from sequence numbers alone, what to do with the next message of a subscription.
 * Pure: the session acts on the verdict. `seq = block * 2^20 + log index`, so a block is known from it.
 */

/** What a subscription has seen. `seq` is that of its last applied message; -1 before the first. */
export interface Seen {
  seq: number;
  /** The next message may follow from anything not newer than `seq`: true at the start and after `resumed`. */
  open: boolean;
}

export interface Numbered {
  readonly type: 'snapshot' | 'update';
  readonly seq: number;
  readonly prev: number;
}

/** `apply`: in order. `ignore`: seen already. `gap`: something between was lost. */
export type Verdict = 'apply' | 'ignore' | 'gap';

export const SEQ_PER_BLOCK = 2 ** 20;
export const blockOf = (seq: number): number => Math.floor(seq / SEQ_PER_BLOCK);

/**
 * Channels that may drop intermediate values (`conflated`) only have to move forward.
 * A snapshot always applies: it depends on nothing.
 */
export const judge = (seen: Seen, message: Numbered, conflated: boolean): Verdict => {
  if (message.type === 'snapshot') return 'apply';
  if (message.seq < seen.seq) return 'ignore';
  if (conflated) return 'apply';
  if (message.seq === seen.seq) return 'ignore';
  if (seen.open) return seen.seq < 0 || message.prev <= seen.seq ? 'apply' : 'gap';
  return message.prev === seen.seq ? 'apply' : 'gap';
};

/** Applied: from now on each message must name this one as its predecessor. */
export const advance = (seen: Seen, message: Numbered): void => {
  seen.seq = message.seq;
  seen.open = false;
};
