import { printable } from '../lib/text.js';
import { KINDS, type ImportReport, type Kind } from './report.js';

const TITLES: Readonly<Record<Kind, string>> = {
  account: 'accounts',
  user: 'users',
  user_profile: 'user profiles',
  token: 'tokens',
  secret: 'secrets',
};
const COLUMNS = ['read', 'created', 'updated', 'unchanged', 'merged', 'leftOut', 'deleted'] as const;

/** formatReport writes a report for people. */
export function formatReport(report: ImportReport): string {
  const table = [
    ['', ...COLUMNS.map((column) => (column === 'leftOut' ? 'left out' : column))],
    ...KINDS.map((kind) => [TITLES[kind], ...COLUMNS.map((column) => String(report.counts[kind][column]))]),
  ];
  const lines = table.map(
    ([title = '', ...cells]) => title.padEnd(14) + cells.map((cell) => cell.padStart(10)).join(''),
  );
  if (report.dryRun) lines.unshift('Dry run: nothing was written.', '');
  const { deactivatedTokens: off, references } = report;
  if (references.read + references.removed > 0) {
    const { read, added, removed, leftOut } = references;
    lines.push('', `References: ${read} read, ${added} added, ${removed} removed, ${leftOut} left out.`);
  }
  if (off > 0)
    lines.push(
      '',
      `Switched off, since their owners gained rights: ${off} ${off === 1 ? 'token' : 'tokens'}.`,
    );
  if (report.heldDeletions.length > 0) {
    lines.push('', 'Nothing was deleted: the source lacks more rows than may be deleted at once.');
    for (const { kind, vanished, allowed } of report.heldDeletions)
      lines.push(`  ${TITLES[kind]}: ${vanished} are gone, ${allowed} may be deleted`);
  }
  if (report.openConflicts > 0)
    lines.push('', `Conflicts to settle: ${report.openConflicts} ("keyward import-smarter conflicts").`);
  if (report.notes.length > 0) lines.push('', 'Notes:');
  for (const { kind, key, what } of report.notes)
    lines.push(`  ${printable(`${kind.replace('_', ' ')} ${key}: ${what}`)}`);
  for (const { kind, sort, count } of report.notesLeftOff) {
    lines.push(`  ${TITLES[kind]}: ${count} more notes of this sort: ${sort}`);
  }
  if (report.staysInSource.length > 0)
    lines.push('', 'Stays in the source, since Keyward has no place for it:');
  for (const { name, values } of report.staysInSource) {
    lines.push(`  ${name}: ${values} ${values === 1 ? 'value' : 'values'}`);
  }
  return `${lines.join('\n')}\n`;
}
