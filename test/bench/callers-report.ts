import { HELD, type CallersMemory, type SwitchedOff } from './callers-memory.js';

/** callersMemoryToText tells people what it costs that callers judge in their own memory. */
export function callersMemoryToText({ checks, clients }: CallersMemory): string {
  const lines = [
    "In the caller's own memory, and by the RPC",
    row('', ['p50 us', 'CPU us', 'of it client', 'server']),
  ];
  for (const [how, { p50, clientCpu, serverCpu }] of Object.entries(checks)) {
    const cells = [p50, clientCpu + serverCpu, clientCpu, serverCpu].map((micros) => micros.toFixed(2));
    lines.push(row(how, cells));
  }
  const cpu = ({ clientCpu, serverCpu }: CallersMemory['checks']['RPC']) => clientCpu + serverCpu;
  const cheapest = cpu(checks['RPC, 16 at a time']);
  for (const how of ['hashed', 'bound'] as const) {
    const faster = (checks.RPC.p50 / checks[how].p50).toFixed(0);
    const cheaper = (cheapest / cpu(checks[how])).toFixed(0);
    lines.push(`RPC / ${how}: p50 ${faster}, CPU ${cheaper}`);
  }
  const { count, busyBefore, busy, clientsBusy, heapBytes, residentBytes } = clients;
  const kibibytes = (bytes: number) => `${(bytes / 1024).toFixed(1)} KiB`;
  lines.push(
    '',
    `${count} clients of one replica that hold ${HELD} tokens each and do nothing`,
    `  the replica uses ${percent(busy)} of a core, ${percent(busyBefore)} without them; all clients together ${percent(clientsBusy)}`,
    `  each takes ${kibibytes(heapBytes)} of its heap, ${kibibytes(residentBytes)} of resident memory`,
    `a token is switched off that nobody holds: ${times(clients.nobodyHolds)}`,
    `  that all of them hold: ${times(clients.allHold)}`,
    `    of the CPU of such a call the replica has ${clients.allHold.serverCpu.toFixed(1)} ms, all clients together ${clients.allHold.clientsCpu.toFixed(1)} ms`,
    `  that three hold: ${times(clients.fewHold)}`,
    `  that three hold, of which one is stopped: ${times(clients.oneIsStopped)}`,
  );
  return lines.join('\n');
}

function times({ times: milliseconds }: SwitchedOff): string {
  const sorted = [...milliseconds].sort((a, b) => a - b);
  const at = (share: number) =>
    (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN).toFixed(1);
  return `p50 ${at(0.5)} ms, p99 ${at(0.99)} ms, longest ${at(1)} ms (${sorted.length} calls)`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function row(title: string, cells: readonly string[]): string {
  return title.padEnd(22) + cells.map((cell) => cell.padStart(14)).join('');
}
