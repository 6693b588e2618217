import { cpus, release } from 'node:os';
import { BATCH, WATCHERS, type Samples } from './hot-path.js';
import type { MillionResult } from './million.js';
import { canPin, hasProgram } from './processes.js';
import type { Sample } from './scenario.js';

const TITLES: Readonly<Record<string, string>> = {
  a: 'a  empty handler of grpc-js',
  b: 'b  ValidateToken, hit',
  'b, watched': `b  with ${WATCHERS} idle watchers`,
  c: 'c  ValidateToken, miss',
  d: `d  BatchValidateTokens of ${BATCH}, hits`,
  e: 'e  GetSecret',
  f: 'f  AccessSecret, 64 bytes, audited',
  g: 'g  Check of Envoy, hit',
  'a, kept': 'a  over kept connections',
  'b, kept': 'b  over kept connections',
};

const COLUMNS: Readonly<Record<string, (sample: Sample, name: string) => string>> = {
  'calls/s': ({ callsPerSecond }) => callsPerSecond.toFixed(0),
  // Where the server was not the limit, this is what it would do.
  'calls/s a core': ({ cpuMicros }) => (1e6 / cpuMicros).toFixed(0),
  'verdicts/s': ({ callsPerSecond }, name) => (callsPerSecond * verdictsIn(name)).toFixed(0),
  'CPU us/call': ({ cpuMicros }) => cpuMicros.toFixed(1),
  'p50 ms': ({ p50 }) => p50.toFixed(1),
  'p99 ms': ({ p99 }) => p99.toFixed(1),
  busy: ({ busy }) => percent(busy),
  'kept waiting': ({ waited }) => percent(waited),
};

/** Report is everything a run found out; the JSON of `--json`. */
export interface Report {
  readonly machine: Record<string, unknown>;
  /** Medians over the rounds. */
  readonly scenarios: Record<string, Sample>;
  readonly rounds: Samples;
  readonly comparisons: Record<string, number>;
  readonly million?: MillionResult;
}

export function report(rounds: Samples, million: MillionResult | undefined): Report {
  const scenarios = Object.fromEntries(
    Object.entries(rounds).map(([name, samples]) => [name, medians(samples)]),
  );
  return {
    machine: {
      cpu: cpus()[0]?.model,
      cores: cpus().length,
      os: `${process.platform} ${release()}`,
      node: process.version,
      serverOnItsOwnCore: canPin(),
      loadOfAAndB: hasProgram('h2load') ? 'h2load' : 'our own HTTP/2 client: there is no h2load',
    },
    scenarios,
    rounds,
    comparisons: comparisonsOf(rounds),
    ...(million !== undefined && { million }),
  };
}

export function toText({ machine, scenarios, comparisons, million }: Report): string {
  const lines = Object.entries(machine).map(([name, value]) => `${name}: ${String(value)}`);
  lines.push('', row('', Object.keys(COLUMNS)));
  for (const [name, sample] of Object.entries(scenarios)) {
    const cells = Object.values(COLUMNS).map((cell) => cell(sample, name));
    lines.push(row(TITLES[name] ?? name, cells));
  }
  lines.push('');
  for (const [name, value] of Object.entries(comparisons)) lines.push(`${name}: ${value.toFixed(2)}`);
  if (million !== undefined) {
    lines.push('', `${million.tokens} tokens in the table`);
    lines.push(`start until SERVING, PostgreSQL included: ${million.startSeconds.toFixed(2)} s`);
    lines.push(`resident before traffic: ${(million.residentBytesBeforeTraffic / 2 ** 20).toFixed(0)} MB`);
    lines.push(`heap for each entry cached: ${million.heapBytesPerEntry.toFixed(0)} bytes`);
    lines.push(`resident for each entry cached: ${million.residentBytesPerEntry.toFixed(0)} bytes`);
  }
  return lines.join('\n');
}

/** comparisonsOf compares what was measured in the same round, and gives the median of the rounds. */
function comparisonsOf(rounds: Samples): Record<string, number> {
  const compare = (of: string, to: string, comparison: (one: Sample, other: Sample) => number): number =>
    median((rounds[of] ?? []).map((sample, round) => comparison(sample, rounds[to]?.[round] ?? sample)));
  const ratio = (of: string, to: string, value: (sample: Sample) => number): number =>
    compare(of, to, (one, other) => value(one) / value(other));
  const rate = ({ callsPerSecond }: Sample): number => callsPerSecond;
  const cpu = ({ cpuMicros }: Sample): number => cpuMicros;
  const comparisons: Record<string, number> = {
    'b / a, calls per second': ratio('b', 'a', rate),
    'a / b, CPU per call': ratio('a', 'b', cpu),
    [`b with ${WATCHERS} watchers / b, calls per second`]: ratio('b, watched', 'b', rate),
    [`b / b with ${WATCHERS} watchers, CPU per call`]: ratio('b', 'b, watched', cpu),
    'd / b, verdicts per second': BATCH * ratio('d', 'b', rate),
    'b / d, CPU per verdict': BATCH * ratio('b', 'd', cpu),
    'c / b, calls per second': ratio('c', 'b', rate),
    'g / b, calls per second': ratio('g', 'b', rate),
    'b / g, CPU per call': ratio('b', 'g', cpu),
    'f / e, calls per second': ratio('f', 'e', rate),
    'f / e, CPU per call': ratio('f', 'e', cpu),
    'f - e, p99 in ms': compare('f', 'e', (one, other) => one.p99 - other.p99),
  };
  if (rounds['b, kept'] !== undefined) {
    comparisons['b / a, calls per second, over kept connections'] = ratio('b, kept', 'a, kept', rate);
    comparisons['a / b, CPU per call, over kept connections'] = ratio('a, kept', 'b, kept', cpu);
  }
  return comparisons;
}

function medians(samples: readonly Sample[]): Sample {
  const of = (value: (sample: Sample) => number): number => median(samples.map(value));
  return {
    callsPerSecond: of((sample) => sample.callsPerSecond),
    cpuMicros: of((sample) => sample.cpuMicros),
    busy: of((sample) => sample.busy),
    waited: of((sample) => sample.waited),
    p50: of((sample) => sample.p50),
    p99: of((sample) => sample.p99),
  };
}

/** median is that of the two in the middle, where there is no one. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
}

function verdictsIn(scenario: string): number {
  if (scenario === 'd') return BATCH;
  return scenario === 'e' || scenario === 'f' ? 0 : 1;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(0)} %`;
}

function row(title: string, cells: readonly string[]): string {
  return title.padEnd(36) + cells.map((cell) => cell.padStart(15)).join('');
}
