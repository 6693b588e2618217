import { KeywardError, type FieldViolation } from './errors.js';

/** Violations collects every broken rule of a request, so that the client learns of all of them at once. */
export class Violations {
  readonly #list: FieldViolation[] = [];

  add(field: string, rule: string): void {
    this.#list.push({ field, rule });
  }

  /** check adds a violation unless `holds`. */
  check(holds: boolean, field: string, rule: string): void {
    if (!holds) this.add(field, rule);
  }

  get any(): boolean {
    return this.#list.length > 0;
  }

  get all(): readonly FieldViolation[] {
    return this.#list;
  }

  /** throwIfAny throws one INVALID_FIELDS error that lists all violations. */
  throwIfAny(): void {
    if (this.#list.length === 0) return;
    const summary = this.#list.map(({ field, rule }) => `${field} ${rule}`).join('; ');
    throw new KeywardError('INVALID_FIELDS', `Invalid request: ${summary}.`, { violations: this.#list });
  }
}

/** invalid is the error of one violation. */
export function invalid(field: string, rule: string): KeywardError {
  return new KeywardError('INVALID_FIELDS', `Invalid request: ${field} ${rule}.`, {
    violations: [{ field, rule }],
  });
}

/** checked runs a reader of a request and throws one error with all violations that it added. */
export function checked<T>(read: (v: Violations) => T): T {
  const v = new Violations();
  const value = read(v);
  v.throwIfAny();
  return value;
}
