/**
 * Marks rows that changed for one paint, at most 150 ms. An attribute that is set and taken away, not an animation: the
 * browser recomputes styles sixty times a second while one runs, and in a busy book one always does.
 */
const FLASH_MS = 130;

export class Flash {
  #lit = new Set<HTMLElement>();
  #timer: ReturnType<typeof setTimeout> | null = null;
  readonly #calm = window.matchMedia('(prefers-reduced-motion: reduce)');

  /** Lights exactly these rows and puts out the others. */
  show(rows: ReadonlySet<HTMLElement>): void {
    const next = this.#calm.matches ? new Set<HTMLElement>() : rows;
    for (const row of this.#lit) if (!next.has(row)) delete row.dataset.flash;
    for (const row of next) if (!this.#lit.has(row)) row.dataset.flash = '';
    this.#lit = new Set(next);
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = next.size === 0 ? null : setTimeout(() => this.show(new Set()), FLASH_MS);
  }
}
