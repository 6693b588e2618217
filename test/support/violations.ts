import { KeywardError, type FieldViolation } from '../../src/lib/errors.js';
import { Violations } from '../../src/lib/violations.js';

/** readWith gives what was read, and the violations that reading added, as texts. */
export function readWith<T>(read: (v: Violations) => T): { value: T; violations: string[] } {
  const v = new Violations();
  const value = read(v);
  const found = violationsOf(() => {
    v.throwIfAny();
  });
  return { value, violations: found.map(({ field, rule }) => `${field} ${rule}`) };
}

/** brokenRules are the violations that a check adds, as texts. */
export function brokenRules(check: (v: Violations) => unknown): string[] {
  return readWith(check).violations;
}

/** brokenFields are the fields that they are about. */
export function brokenFields(check: (v: Violations) => unknown): string[] {
  const v = new Violations();
  check(v);
  return violationsOf(() => {
    v.throwIfAny();
  }).map(({ field }) => field);
}

/** violationsOf are those of the error with which work ends, if it does. */
export function violationsOf(work: () => unknown): readonly FieldViolation[] {
  try {
    work();
    return [];
  } catch (error) {
    if (error instanceof KeywardError) return error.violations;
    throw error;
  }
}
