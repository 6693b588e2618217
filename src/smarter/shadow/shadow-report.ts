import { printable } from '../../lib/text.js';
import type { Cause, Comparison } from './compare.js';

/** Finding is one key or text that is worth telling about. */
export interface Finding {
  /** The key's id, the knox row's user, or the number of the text. Never a token, a digest, or a part of one. */
  readonly key: string;
  readonly name: string;
  readonly django: string;
  readonly keyward: string;
  readonly causes: readonly Cause[];
}

/** ShadowReport is how the verdicts of the platform compare with Keyward's. */
export interface ShadowReport {
  /** Keys or texts that were judged. */
  readonly judged: number;
  readonly same: number;
  readonly different: number;
  /** Keys on which the platform fails with an error. */
  readonly failing: number;
  /** Keys that were made in Keyward, and that the platform does not have. */
  readonly onlyHere: number;
  readonly differences: readonly Finding[];
  readonly failures: readonly Finding[];
  /** Findings that were counted and are not listed, after the first 1000 of each sort. */
  readonly leftOff: number;
}

/** Most findings of a sort that a report lists, so that it stays within its memory. */
const FINDINGS_PER_SORT = 1000;

/** ShadowTally gathers a report. */
export class ShadowTally {
  #judged = 0;
  #onlyHere = 0;
  readonly #counts = { same: 0, differs: 0, fails: 0 };
  readonly #findings: Record<'differs' | 'fails', Finding[]> = { differs: [], fails: [] };

  add({ key, name }: Pick<Finding, 'key' | 'name'>, comparison: Comparison): void {
    const { outcome, django, keyward, causes } = comparison;
    this.#judged += 1;
    this.#counts[outcome] += 1;
    if (outcome === 'same') return;
    const findings = this.#findings[outcome];
    if (findings.length < FINDINGS_PER_SORT) findings.push({ key, name, django, keyward, causes });
  }

  addOnlyHere(): void {
    this.#judged += 1;
    this.#onlyHere += 1;
  }

  get judged(): number {
    return this.#judged;
  }

  build(): ShadowReport {
    const { differs, fails } = this.#findings;
    const { same, differs: different, fails: failing } = this.#counts;
    return {
      ...{ judged: this.#judged, same, different, failing, onlyHere: this.#onlyHere },
      differences: differs,
      failures: fails,
      leftOff: different + failing - differs.length - fails.length,
    };
  }
}

/** formatShadow writes a report for people. */
export function formatShadow(report: ShadowReport): string {
  const { judged, same, different, failing, onlyHere, differences, failures, leftOff } = report;
  const lines = [
    `judged               ${judged}`,
    `same verdict         ${same}`,
    `different verdict    ${different}`,
    `Smarter fails on     ${failing}`,
    `only in Keyward      ${onlyHere}`,
  ];
  if (differences.length > 0) lines.push('', 'Different:', ...differences.map(findingLine));
  if (failures.length > 0) lines.push('', 'Smarter fails on:', ...failures.map(findingLine));
  if (leftOff > 0) lines.push('', `${leftOff} more are not listed.`);
  return `${lines.join('\n')}\n`;
}

function findingLine({ key, name, django, keyward, causes }: Finding): string {
  const label = name === '' ? key : `${key} (${name})`;
  return printable(`  ${label}: Smarter ${django}, Keyward ${keyward}: ${causes.map(causeText).join('; ')}`);
}

function causeText({ fact, django, keyward }: Cause): string {
  if (fact === 'failure') return django;
  return `${fact}: Smarter ${django}, Keyward ${keyward}`;
}
