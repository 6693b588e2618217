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
] as const;

const DURATIONS_MS = [30, 300, 1_500, 4_000];

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
  const hold = (...directions: readonly Direction[]): void => {
    for (const direction of directions) direction.hold();
    scheduler.after(ms, () => {
      for (const direction of directions) direction.release();
    });
  };
  switch (kind) {
    case 'pause':
      machine.pause(ms);
      break;
    case 'suspend':
      machine.suspend(ms);
      break;
    case 'kill':
      if (process.isDead) break;
      process.kill();
      if (random.chance(0.8)) for (const connection of client.connections) connection.hangUpOfMachine();
      scheduler.after(ms, seat);
      break;
    case 'cut':
      for (const connection of client.connections) connection.hangUpOfMachine();
      break;
    case 'hold up':
      hold(network.up);
      break;
    case 'hold down':
      hold(network.down);
      break;
    case 'hold both':
      hold(network.up, network.down);
  }
  return `${kind} at ${name} for ${ms}`;
}
