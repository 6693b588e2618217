import { TTL_MS } from '../../../src/coherence/lease.js';
import type { Random } from '../../support/random.js';
import type { Machine } from './machine.js';
import type { Direction, Network } from './network.js';
import type { Scheduler } from './scheduler.js';
import type { SimulatedClient } from './simulated-client.js';

export const CLIENT_FAULTS = [
  'pause',
  'suspend',
  'kill',
  'cut',
  'hold up',
  'hold down',
  'hold both',
  'silence after what is late',
] as const;

const LONGEST_MS = 4_000;
/** Longer than from one renewal to the next. */
const LATE_MS = 1_200;
const DURATIONS_MS = [30, 300, 1_500, LONGEST_MS];

interface Desk {
  readonly machine: Machine;
  readonly network: Network;
  readonly client: SimulatedClient;
}

/** strikeClient lets one fault of a random length happen to a client, and tells which. */
export function strikeClient(
  { machine, network, client }: Desk,
  kind: (typeof CLIENT_FAULTS)[number],
  scheduler: Scheduler,
  random: Random,
  seat: () => void,
): string {
  const longest = random.pick(DURATIONS_MS);
  const ms = longest / 2 + random.below(longest / 2);
  const { process, name } = client.near;
  const hold = (holdMs: number, ...directions: readonly Direction[]): void => {
    for (const direction of directions) direction.hold();
    scheduler.after(holdMs, () => {
      for (const direction of directions) direction.release();
    });
  };
  switch (kind) {
    case 'pause':
      machine.pause(ms);
      break;
    case 'suspend':
      machine.suspend(random.chance(0.5) ? ms : TTL_MS + ms);
      break;
    case 'kill':
      if (process.isDead) break;
      process.kill(true);
      if (random.chance(0.8)) for (const stream of client.streams.open) stream.hangUp();
      scheduler.after(ms, seat);
      break;
    case 'cut':
      for (const stream of client.streams.open) stream.hangUp();
      break;
    case 'hold up':
      hold(ms, network.up);
      break;
    case 'hold down':
      hold(ms, network.down);
      break;
    case 'hold both':
      hold(ms, network.up, network.down);
      break;
    case 'silence after what is late': {
      // What was granted at first comes late, and nothing after it.
      const lateMs = LATE_MS + random.below(LATE_MS);
      hold(lateMs, network.down);
      scheduler.after(LATE_MS, () => hold(lateMs + LONGEST_MS, network.up));
      scheduler.after(lateMs, () => hold(LONGEST_MS, network.down));
    }
  }
  return `${kind} at ${name} for ${ms}`;
}
