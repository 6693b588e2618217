import { InvalidArgumentError, type Command } from 'commander';
import { SETTINGS } from '../config.js';
import { systemClock } from '../lib/clock.js';
import { formatPgTimestamp, presentOf } from '../lib/instant.js';
import type { ListenAddress } from '../lib/listen-address.js';
import { FollowStatus } from '../smarter/follow/follow-status.js';
import type { Note } from '../smarter/report.js';
import { FollowMetrics } from '../telemetry/follow-metrics.js';
import { createLogger } from '../telemetry/logger.js';
import { ProbeServer } from '../telemetry/probe-server.js';
import { printErrorLine, printJsonLine, printLine, showLine } from './io/output.js';
import { untilSignal } from './serve/signals.js';

/** FollowFlags are the options of a command that can go on. */
export interface FollowFlags {
  readonly follow?: true;
  readonly interval: number;
  readonly metricsListen?: ListenAddress;
}

/** Following is what a follower is given. */
export interface Following {
  readonly status: FollowStatus;
  readonly intervalMs: number;
  readonly signal: AbortSignal;
  readonly tell: (line: string) => void;
  /** show shows what a cycle has written; nothing if that is nothing. */
  readonly show: (report: FollowReport) => void;
}

interface FollowReport {
  /** By kind and outcome. */
  readonly counts: Readonly<Record<string, Readonly<Record<string, number>>>>;
  readonly notes: readonly Note[];
}

/** Most notes of a cycle that are printed. */
const MAX_NOTES = 100;
/** Most notes that are remembered, so that what stays as it is is not told again. */
const MAX_TOLD = 10_000;
/** What is no news. */
const QUIET = new Set(['read', 'unchanged', 'used', 'leftOut']);

/** FOLLOW_HELP is the part of the help that both directions have in common. */
export const FOLLOW_HELP = `
With --follow it goes on until it is stopped (SIGTERM, SIGINT) and keeps the two in step. It goes on after a failure or a
restart of either database, which it tells once; of several followers of a direction one is at work, and the others
wait. Whatever is written is a line of standard output, or a JSON object with --json. --metrics-listen serves /readyz,
and /metrics for Prometheus: alarm on keyward_follow_lag_seconds and keyward_follow_active.`;

/** addFollowOptions adds what both directions have in common. */
export function addFollowOptions(command: Command): Command {
  return command
    .option('--follow', 'go on, and keep the two in step until stopped')
    .option(
      '--interval <ms>',
      'with --follow: milliseconds from one look to the next, 50 to 60000',
      milliseconds,
      250,
    )
    .option(
      '--metrics-listen <host:port>',
      'with --follow: serve health and metrics over HTTP there',
      listenAddress,
    );
}

/** following runs a follower until a signal ends it. */
export async function following(
  direction: 'import' | 'export',
  { interval: intervalMs, metricsListen, json }: FollowFlags & { readonly json?: true },
  run: (following: Following) => Promise<void>,
): Promise<void> {
  const status = new FollowStatus(systemClock);
  const told = new Set<string>();
  const probes = metricsListen === undefined ? undefined : await openProbes(direction, metricsListen, status);
  try {
    await untilSignal((signal) =>
      run({
        status,
        intervalMs,
        signal,
        tell: (line) => printErrorLine(`${timeNow()} ${line}`),
        show: (report) => {
          show(report, told, json === true);
          showLine(`${direction}: ${status.cycles} cycles, ${(status.lagMs / 1000).toFixed(1)} s behind`);
        },
      }),
    );
  } finally {
    await probes?.close();
  }
}

async function openProbes(
  direction: 'import' | 'export',
  listen: ListenAddress,
  status: FollowStatus,
): Promise<ProbeServer> {
  const probes = await ProbeServer.open(listen, createLogger('silent'));
  const metrics = new FollowMetrics(direction, status);
  probes.show({
    readiness: () =>
      Promise.resolve(
        status.isFollowing ? { status: 'SERVING' } : { status: 'NOT_SERVING', reason: 'not following' },
      ),
    metrics: () => metrics.text(),
  });
  printErrorLine(`${timeNow()} health and metrics on ${probes.address}`);
  return probes;
}

/** show prints what was written. Notes of what could not be are printed once: it is tried again and again. */
function show({ counts, notes: all }: FollowReport, told: Set<string>, json: boolean): void {
  const written = Object.entries(counts).flatMap(([kind, outcomes]) => {
    const news = Object.entries(outcomes).filter(([outcome, count]) => count > 0 && !QUIET.has(outcome));
    return news.length === 0 ? [] : [{ kind, news }];
  });
  const notes = written.length > 0 ? all : all.filter((note) => !told.has(textOf(note)));
  if (told.size > MAX_TOLD) told.clear();
  for (const note of notes) told.add(textOf(note));
  if (written.length === 0 && notes.length === 0) return;
  const shown = notes.slice(0, MAX_NOTES);
  if (json) {
    const ofKinds = Object.fromEntries(written.map(({ kind, news }) => [kind, Object.fromEntries(news)]));
    printJsonLine({
      at: timeNow(),
      counts: ofKinds,
      notes: shown,
      notesLeftOff: notes.length - shown.length,
    });
    return;
  }
  for (const { kind, news } of written) {
    const told = news.map(([outcome, count]) => `${count} ${outcome}`).join(', ');
    printLine(`${timeNow()} ${kind.replace('_', ' ')}: ${told}`);
  }
  for (const note of shown) printLine(`  ${textOf(note)}`);
  if (notes.length > shown.length) printLine(`  and ${notes.length - shown.length} more notes`);
}

function textOf({ kind, key, what }: Note): string {
  return `${kind.replace('_', ' ')} ${key}: ${what}`;
}

function timeNow(): string {
  return formatPgTimestamp(presentOf(systemClock));
}

function milliseconds(text: string): number {
  if (/^\d{2,5}$/.test(text) && Number(text) >= 50 && Number(text) <= 60_000) return Number(text);
  throw new InvalidArgumentError('It must be a whole number from 50 to 60000.');
}

function listenAddress(text: string): ListenAddress {
  const parsed = SETTINGS.httpListen.schema.safeParse(text);
  if (parsed.success && parsed.data !== undefined) return parsed.data;
  throw new InvalidArgumentError('It must be <host>:<port>.');
}
