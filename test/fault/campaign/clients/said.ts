import type { Answer } from '../history.js';

/** Span is from when to when something lasted, in milliseconds by the machine's clock. */
interface Span {
  readonly startedAt: number;
  readonly endedAt: number;
}

/** Said is what a client answered about a credential, once or several times at a stretch. */
export interface Said {
  readonly credential: number;
  readonly isFromMemory: boolean;
  readonly answer: Answer;
  /** Of the first answer, and of the last where there is more than one. */
  readonly spans: readonly [Span] | readonly [Span, Span];
  readonly count: number;
}

/** Ask gives the answer that memory has, the same object for the same answer, or undefined if it has none. */
export type Ask = () => Answer | undefined;

/**
 * Of equal answers the first and the last are enough if they are no further apart: two changes of one credential are, so that
 * no answer between them can be wrong where neither of these is. Where a process stood still in between, all are reported.
 */
const AT_A_STRETCH_MS = 0.5;

/**
 * askAtAStretch asks memory again and again, until it has no answer or another one. The time is taken before each question,
 * so that no answer is taken for a later one than it is.
 */
export function askAtAStretch(credential: number, ask: Ask, most: number, now: () => number): Said[] {
  const spans: Span[] = [];
  let said: Answer | undefined;
  while (spans.length < most) {
    const startedAt = now();
    const answer = ask();
    if (answer === undefined) break;
    if (said !== undefined && said !== answer) {
      const rest = askedOnce(credential, answer, { startedAt, endedAt: now() });
      return [...condensed(credential, said, spans), rest];
    }
    said = answer;
    spans.push({ startedAt, endedAt: now() });
  }
  return said === undefined ? [] : condensed(credential, said, spans);
}

function condensed(credential: number, answer: Answer, spans: readonly Span[]): Said[] {
  const [first, last] = [spans[0], spans.at(-1)];
  if (first === undefined || last === undefined) return [];
  if (spans.length === 1 || last.endedAt - first.startedAt > AT_A_STRETCH_MS)
    return spans.map((span) => askedOnce(credential, answer, span));
  return [{ credential, isFromMemory: true, answer, spans: [first, last], count: spans.length }];
}

function askedOnce(credential: number, answer: Answer, span: Span): Said {
  return { credential, isFromMemory: true, answer, spans: [span], count: 1 };
}
