import { countsOf } from '../campaign/report.js';
import { took } from './calls.js';
import { grown, type Resources } from './resources.js';
import type { Soak } from './soak.js';

const MAX_SHOWN = 10;
const MEBIBYTE = 2 ** 20;

/** problemsOf are all that must not be. */
export function problemsOf(soak: Soak): string[] {
  const { checked, calls, cells, mix, misTold, audit, before, after, errors, ended, hasRecovered, failures } =
    soak;
  return [
    ...errors.filter(({ isInternal }) => isInternal).map(({ line }) => `INTERNAL: ${line}`),
    ...calls.wrong.map((text) => `WRONG CODE: ${text}`),
    ...calls
      .unexcused()
      .map(
        (call) =>
          `LATE: ${call.kind.name} through replica ${call.replica}, ${call.code}, took ${took(call).toFixed(0)} ms of ${call.kind.boundMs}, from ${seconds(call.startedAt)}`,
      ),
    ...checked.contradictions.map(({ kind, text }) => `${kind.toUpperCase()}: ${text}`),
    ...cells.flatMap(({ contradictions }) => contradictions.map((text) => `LOST: ${text}`)),
    ...mix.wrong.map((text) => `WRONG ANSWER: ${text}`),
    ...misTold.map((text) => `MISTOLD: ${text}`),
    ...audit.faults.map((fault) => `AUDIT: ${fault.kind} in chain ${fault.chain} at ${fault.seq ?? '?'}`),
    ...grown(before, after).map((text) => `GROWN: ${text}`),
    ...ended.map((replica) => `ENDED: replica ${replica}`),
    ...failures.map((text) => `FAULT FAILED: ${text}`),
    ...(hasRecovered ? [] : ['NOT RECOVERED: a change afterwards was not complete']),
  ];
}

/** toText tells people what a soak saw. */
export function toText(soak: Soak): string {
  const { options, history, checked, calls, coreWaits, cells, mix, followers, misTold } = soak;
  const { audit, before, after, errors } = soak;
  const sum = (of: (cell: (typeof cells)[number]) => number) =>
    cells.reduce((total, cell) => total + of(cell), 0);
  const acknowledged = history.changes.filter(
    ({ what, through, result }) => what !== 'create' && through !== 'SQL' && result.kind !== 'unknown',
  ).length;
  const resumed = followers.reduce((total, follower) => total + follower.resumed, 0);
  const stretches = followers.flatMap(({ told }) => told);
  const changes = stretches.reduce((total, { events }) => total + events.size, 0);
  const problems = problemsOf(soak);
  return [
    `Soak, seed ${options.seed}, ${options.seconds} s`,
    ...[...calls.counts].map(([kind, codes]) => {
      const longest = calls.longest(kind);
      const counts = [...codes].map(([code, count]) => `${code} ${count}`).join(', ');
      const against =
        longest === undefined ? '' : `${took(longest).toFixed(0)} of ${longest.kind.boundMs} ms`;
      return `  ${kind.padEnd(22)} longest ${against.padEnd(18)} ${counts}`;
    }),
    `  faults         ${history.faults.length}: ${countsOf(history.faults.map(({ kind }) => kind))}`,
    `  late           ${calls.late.length}, of which ${calls.unexcused().length} while nothing stood still`,
    `  waited         ${(coreWaits.between(0, Infinity) / 1_000).toFixed(1)} s for a core, the replica that did so longest`,
    `  errors logged  ${errors.length}: ${countsOf(errors.map(({ method, isInternal }) => `${isInternal ? 'INTERNAL' : 'other'} ${method ?? ''}`))}`,
    `  acknowledged   ${acknowledged} changes of verdicts, held against ${history.validations.length} validations; ${sum((cell) => cell.acknowledged)} of values, against ${sum((cell) => cell.reads)} reads`,
    `  contradictions ${checked.contradictions.length} and ${sum((cell) => cell.contradictions.length)}`,
    `  lists          ${mix.lists} read to their end`,
    `  watches        ${resumed} resumed, ${changes} changes told in ${stretches.length} stretches, ${misTold.length} not exactly once`,
    `  audit          ${audit.records} records in ${audit.chains.length} chains, ${audit.faults.length} faults`,
    ...after.map(
      (resources, replica) =>
        `  replica ${replica}      ${describe(before[replica])} after the first minute, ${describe(resources)} at the end`,
    ),
    ...mostOfEach(problems),
    ...errors
      .filter(({ isInternal }) => !isInternal)
      .slice(0, MAX_SHOWN)
      .map(({ replica, line }) => `logged by replica ${replica}: ${line}`),
    problems.length === 0 ? 'Nothing was broken.' : `${problems.length} PROBLEMS`,
  ].join('\n');
}

function describe(resources: Resources | undefined): string {
  if (resources === undefined) return 'nothing';
  const { memory, resident, descriptors, connections } = resources;
  const megabytes = (bytes: number) => (bytes / MEBIBYTE).toFixed(1);
  return `${megabytes(memory)} MiB in use, ${megabytes(resident)} resident, ${descriptors ?? '?'} descriptors, ${connections} connections`;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** mostOfEach are the first problems of each kind, which is the first word of their texts. */
function mostOfEach(problems: readonly string[]): string[] {
  const counts = new Map<string, number>();
  return problems.filter((text) => {
    const kind = text.split(':', 1)[0] ?? '';
    const count = (counts.get(kind) ?? 0) + 1;
    counts.set(kind, count);
    return count <= MAX_SHOWN;
  });
}
