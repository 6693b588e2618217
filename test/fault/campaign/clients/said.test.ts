import { expect, test } from 'vitest';
import type { Answer } from '../history.js';
import { askAtAStretch } from './said.js';

const OK = { verdict: 'OK', valid: true, stale: false };
const INACTIVE = { verdict: 'INACTIVE', valid: false, stale: false };

/** asked asks for what `answers` says, with a clock that is read at `times`: twice for each answer. */
function asked(answers: readonly (Answer | undefined)[], times: readonly number[]) {
  const [left, ticks] = [[...answers], [...times]];
  const said = askAtAStretch(
    1,
    () => left.shift(),
    answers.length,
    () => ticks.shift() ?? NaN,
  );
  return said.map(({ answer, spans, count }) => ({
    answer: 'verdict' in answer ? answer.verdict : undefined,
    spans: spans.map(({ startedAt, endedAt }) => [startedAt, endedAt]),
    count,
  }));
}

test('equal answers at a stretch are told by the first and the last of them', () => {
  expect(asked([OK, OK, OK], [10, 10.1, 10.1, 10.2, 10.2, 10.3])).toEqual([
    {
      answer: 'OK',
      spans: [
        [10, 10.1],
        [10.2, 10.3],
      ],
      count: 3,
    },
  ]);
});

test('where the process stood still in between, every answer is told', () => {
  expect(asked([OK, OK, OK], [10, 10.1, 10.1, 3_000, 3_000, 3_000.1])).toEqual([
    { answer: 'OK', spans: [[10, 10.1]], count: 1 },
    { answer: 'OK', spans: [[10.1, 3_000]], count: 1 },
    { answer: 'OK', spans: [[3_000, 3_000.1]], count: 1 },
  ]);
});

test('another answer ends a stretch, and is told too', () => {
  expect(asked([OK, INACTIVE, OK], [10, 10.1, 10.1, 10.2])).toEqual([
    { answer: 'OK', spans: [[10, 10.1]], count: 1 },
    { answer: 'INACTIVE', spans: [[10.1, 10.2]], count: 1 },
  ]);
});

test('nothing is told of what memory has no answer to', () => {
  expect(asked([undefined], [10, 10.1])).toEqual([]);
  expect(asked([OK, undefined], [10, 10.1, 10.1])).toEqual([{ answer: 'OK', spans: [[10, 10.1]], count: 1 }]);
});
