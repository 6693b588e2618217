import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { HoldFact } from '../../../clients/node/src/gen/keyward/token/v1/hold_verdicts.js';
import { ask, begin, clocks, memory, open, reasonIn, reasonOf, renew } from '../../support/driven-memory.js';
import { verdictVectors, type VerdictVector } from '../../support/verdict-vectors.js';

const file = readFileSync(new URL('../../vectors/verdicts.json', import.meta.url), 'utf8');

test('the vectors are what the rules of the service give', () => {
  expect(file).toBe(verdictVectors());
});

const vectors = (JSON.parse(file) as VerdictVector[]).map((vector) => [vector.name, vector] as const);

test.each(vectors)('judges as the service does: a token that %s', (_, vector) => {
  begin();
  const stream = open();
  const began = { monotonic: clocks.monotonic, wall: clocks.wall };
  const pass = ({ monotonic, wall }: VerdictVector['comes']): void => {
    clocks.monotonic = began.monotonic + monotonic / 1000;
    clocks.wall = began.wall + wall / 1000;
  };
  const { id, answers } = ask('text', stream);
  pass(vector.comes);
  memory.facts(stream, { facts: [{ ...HoldFact.decode(Buffer.from(vector.fact, 'base64')), id }] });
  expect(reasonIn(answers, vector.scopes)).toBe(vector.answers);
  pass(vector.again);
  renew(stream);
  expect(reasonOf('text', vector.scopes) ?? null).toBe(vector.holds);
});
