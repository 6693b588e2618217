import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { residentBytes, type ServerProcess } from './processes.js';

const MEMORY_EVERY_MS = 50;
const METRICS_EVERY_MS = 200;

/** Observed is the worst that was seen of a server. */
export interface Observed {
  /** By how much resident memory rose at most. */
  readonly moreBytes: number;
  /** The longest that the server took to show its metrics: its event loop was not free for so long. */
  readonly lagMs: number;
  /** False if its lease was not held when somebody looked. */
  readonly heldLease: boolean;
}

/** observe looks at a server, which shows its metrics at that port, until what it gives is run. */
export function observe({ process: child }: ServerProcess, metricsPort: number): () => Promise<Observed> {
  const before = residentBytes(child);
  let most = before;
  let lagMs = 0;
  let heldLease = true;
  let looking: Promise<void> = Promise.resolve();
  let isLooking = false;
  const memory = setInterval(() => {
    most = Math.max(most, residentBytes(child));
  }, MEMORY_EVERY_MS);
  const look = async (): Promise<void> => {
    const began = performance.now();
    // On a connection of its own: one that waits may be closed just when it is asked.
    const asked = get(`http://127.0.0.1:${metricsPort}/metrics`, { agent: false });
    const [response] = (await once(asked, 'response')) as [IncomingMessage];
    const metrics = await text(response);
    lagMs = Math.max(lagMs, performance.now() - began);
    heldLease &&= /^keyward_coherence_lease_held 1$/m.test(metrics);
    isLooking = false;
  };
  const metrics = setInterval(() => {
    if (isLooking) return;
    isLooking = true;
    looking = look();
    // Told at the end.
    looking.catch(() => undefined);
  }, METRICS_EVERY_MS);
  return async () => {
    clearInterval(memory);
    clearInterval(metrics);
    await looking;
    return { moreBytes: most - before, lagMs, heldLease };
  };
}
