import { expect, test } from 'vitest';
import { formatReport } from '../../../src/smarter/report-text.js';
import { BatchReport, ReportBuilder } from '../../../src/smarter/report.js';
import { numbered } from '../../../src/smarter/free-names.js';
import { codePoints } from '../../../src/lib/text.js';

test('a report holds 1000 notes of a sort and counts the others', () => {
  const builder = new ReportBuilder();
  const batch = new BatchReport();
  for (let row = 0; row < 1500; row += 1) {
    batch.outcomes.push('leftOut');
    batch.note('token', String(row), 'unusable', 'left out');
  }
  batch.note('token', 'x', 'updated', 'updated: name');
  builder.addBatch('token', batch);
  builder.addNotes('vanished', [{ kind: 'user', key: '1', what: 'gone' }], 5000);

  const report = builder.build(false);

  expect(report.notes).toHaveLength(1002);
  expect(report.notesLeftOff).toEqual([
    { kind: 'token', sort: 'unusable', count: 500 },
    { kind: 'user', sort: 'vanished', count: 4999 },
  ]);
  expect(report.counts.token).toMatchObject({ read: 1500, leftOut: 1500 });
});

test('texts of the source cannot steer the terminal', () => {
  const builder = new ReportBuilder();
  const batch = new BatchReport();
  batch.note('user', 'a\x1b[2J\n\u202eb', 'merged', 'merged');
  builder.addBatch('user', batch);

  expect(formatReport(builder.build(true))).toContain(String.raw`user a\u{1b}[2J\u{a}\u{202e}b: merged`);
});

test('a numbered name stays within 255 characters', () => {
  expect(numbered('name', 2)).toBe('name-2');
  const long = numbered('🔑'.repeat(255), 12);
  expect(codePoints(long)).toBe(255);
  expect(long.endsWith('🔑-12')).toBe(true);
});
