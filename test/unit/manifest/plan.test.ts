import { expect, test } from 'vitest';
import { Violations } from '../../../src/lib/violations.js';
import type { ManifestDocument } from '../../../src/manifest/manifest-reader.js';
import { planOf } from '../../../src/manifest/plan.js';

const DOCUMENT: ManifestDocument = {
  path: 'document[0]',
  kind: 'Secret',
  name: 'large',
  owner: undefined,
  identity: {},
  settings: { description: 'new' },
  valueFrom: undefined,
};

test('a plan holds nothing of what the resource was but the beginnings of what changes', () => {
  const before = {
    id: 7n,
    rowVersion: 3n,
    description: 'x'.repeat(10_000),
    annotations: new Map([['unchanged', 'y'.repeat(4_096)]]),
  };
  const met = { before, mask: undefined, now: 0n as never, payload: undefined };
  const plan = planOf(new Violations(), DOCUMENT, met);
  expect(plan.before).toEqual({ id: 7n, rowVersion: 3n });
  expect(plan.changes).toEqual([
    { field: 'metadata.description', before: `"${'x'.repeat(99)}…`, after: '"new"' },
  ]);
});
