/** Values of a label that somebody else chooses: so many, and no more, however many names there are. */
export class BoundedLabel {
  readonly #seen = new Set<string>();

  constructor(private readonly maximum: number) {}

  /** The value itself; "other" where there are too many. */
  of(value: string): string {
    if (this.#seen.has(value)) return value;
    if (this.#seen.size >= this.maximum) return 'other';
    this.#seen.add(value);
    return value;
  }
}
