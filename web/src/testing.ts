/** Seeded randomness for tests. The seed is printed and can be set again by `HIFI_SEED`. Never part of the page. */

export const seeded = (): { readonly seed: number; readonly below: (n: number) => number } => {
  const seed = Number(process.env.HIFI_SEED ?? Math.floor(Math.random() * 2 ** 31));
  process.stdout.write(`HIFI_SEED=${seed}\n`);
  let state = seed >>> 0;
  // mulberry32: small, and good enough to wander through states.
  const next = (): number => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = state;
    t = Math.imul(t ^ (t >>> 15), t | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
  return { seed, below: (n) => Math.floor(next() * n) };
};
