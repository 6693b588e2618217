import { cpus, loadavg } from 'node:os';
import type { Campaign } from './campaign.js';
import { shareFromMemory } from './clients/client-availability.js';
import { PROGRAMS } from './clients/fleet.js';
import type { Change } from './history.js';

const MAX_SHOWN = 10;
/** Around a change, in which no replica may have had a fault for its wait to count as healthy. */
const CALM_BEFORE_MS = 4_500;

/** toText tells people what a campaign saw. */
export function toText(campaign: Campaign): string {
  const { options, history, checked, hasRecovered, ended } = campaign;
  const { seed, seconds, maxStaleSeconds } = options;
  const { availability, contradictions, sqlLagsMs } = checked;
  const changes = history.changes.filter(({ what }) => what !== 'create');
  const { healthy, bridged, excused, staleAnswers } = availability;
  const isCalm = ({ startedAt, endedAt }: Change) =>
    availability.touching(undefined, startedAt - CALM_BEFORE_MS, endedAt).length === 0;
  const mode = maxStaleSeconds === 0 ? 'strict mode' : `stale for up to ${maxStaleSeconds} s`;
  const count = (kind: Change['result']['kind']) =>
    changes.filter(({ result }) => result.kind === kind).length;
  return [
    `Fault campaign, seed ${seed}, ${seconds} s, ${mode}; ${cpus().length} cores, load ${loadavg()
      .map((load) => load.toFixed(1))
      .join(' ')}`,
    `  changes        ${changes.length}: ${count('complete')} complete, ${count('incomplete')} effective later, ${count('committed')} by SQL, ${count('unknown')} with unknown outcome`,
    `  unknown        ${countsOf(changes.flatMap(({ result }) => (result.kind === 'unknown' ? [firstSentence(result.error)] : [])))}`,
    `  validations    ${history.validations.length}, of which ${staleAnswers} marked as stale`,
    `  faults         ${history.faults.length}: ${countsOf(history.faults.map(({ kind }) => kind))}`,
    ...clientLines(campaign),
    `  contradictions ${contradictions.length}: ${countsOf(contradictions.map(({ kind }) => kind))}`,
    `  unanswered     ${healthy.failed} of ${total(healthy)} without a fault; ${bridged.failed} of ${total(bridged)} that memory must bridge; ${excused.failed} of ${total(excused)} during and just after faults`,
    `  wait, healthy  ${percentiles(waits(changes.filter(isCalm)))}`,
    `  wait, faults   ${percentiles(waits(changes.filter((change) => !isCalm(change))))}`,
    `  SQL, healthy   answers that did not show it yet: ${sqlLagsMs.length}, the last after ${sqlLagsMs.reduce((longest, lag) => Math.max(longest, lag), 0).toFixed(0)} ms`,
    `  afterwards     ${hasRecovered ? 'changes are complete through every replica' : 'NOT RECOVERED'}`,
    ...ended.map((text) => `ENDED: ${text}`),
    ...contradictions.slice(0, MAX_SHOWN).map(({ kind, text }) => `${kind.toUpperCase()}: ${text}`),
  ].join('\n');
}

/** clientLines tell of the clients that have a memory of their own, if there are any. */
function clientLines({ options, checked: { availability }, held }: Campaign): string[] {
  if (options.clients === 0) return [];
  const { calm, calmBystanders, owed, excused } = availability.clients;
  const share = (counts: typeof calm) => `${(100 * shareFromMemory(counts)).toFixed(2)} %`;
  const count = ({ fromMemory, asked, failed }: typeof calm) => fromMemory + asked + failed;
  const sum = (of: 'fromMemory' | 'asked' | 'failed') => owed[of] + excused[of];
  return [
    `  clients        ${options.clients}: ${sum('fromMemory')} validations from memory, ${sum('asked')} by a call`,
    `                 by turns of ${['Node.js', ...PROGRAMS].join(', ')}`,
    `                 from memory while all was well: ${share(calm)} of ${count(calm)}; of tokens that nobody changes ${share(calmBystanders)} of ${count(calmBystanders)}`,
    `                 unanswered: ${owed.failed} where they had to be answered, ${excused.failed} during and just after faults`,
    `                 in the end they hold ${held} answers about tokens that nobody changes`,
  ];
}

/** percentiles tells of times in milliseconds. */
export function percentiles(times: readonly number[]): string {
  if (times.length === 0) return 'none';
  const at = (share: number) => percentile(times, share).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms (${times.length} changes)`;
}

/** percentile is the time that a share of the times does not exceed; NaN of none. */
export function percentile(times: readonly number[], share: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

function waits(changes: readonly Change[]): number[] {
  return changes.flatMap(({ result }) => ('waitedMs' in result ? [result.waitedMs] : []));
}

function total({ answered, failed }: { answered: number; failed: number }): number {
  return answered + failed;
}

function firstSentence(text: string): string {
  return text.split('.')[0] ?? text;
}

/** countsOf tells how often each text is there. */
export function countsOf(texts: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1);
  return [...counts].map(([text, count]) => `${text} ${count}`).join(', ') || 'none';
}
