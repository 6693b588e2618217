import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { conformanceVectors } from '../../support/conformance-vectors.js';

test('the memory does what is recorded of it, as those of other languages must', () => {
  const file = readFileSync(new URL('../../vectors/conformance.json', import.meta.url), 'utf8');
  expect(conformanceVectors()).toBe(file);
});
