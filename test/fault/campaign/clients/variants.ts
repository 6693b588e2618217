import type { Variant } from './broken.js';

/** Rules of the contract, each broken in one place. A campaign must notice every one. */
export const VARIANTS: readonly Variant[] = [
  {
    name: 'a replica acknowledges before its clients have',
    of: 'service',
    file: 'coherence/replica.js',
    from: 'return holders === undefined ? this.#applied : holders.settled;',
    to: 'return this.#applied;',
  },
  {
    name: 'a replica forgets a client when its connection ends',
    of: 'service',
    file: 'holders/holder.js',
    from: 'this.#outlet = undefined;',
    to: 'this.#outlet = undefined; this.left();',
  },
  {
    name: 'a replica tells a client that comes back nothing of what was changed meanwhile',
    of: 'service',
    file: 'holders/holder-hub.js',
    from: "holder.catchUp(missed ?? 'unknown')",
    to: 'holder.catchUp([])',
  },
  {
    name: 'a client takes its lease for longer than it was granted',
    of: 'client',
    file: 'memory/lease.js',
    from: '(from, lease)',
    to: '(from, lease * 3)',
  },
  {
    name: 'a client acknowledges and forgets nothing',
    of: 'client',
    file: 'memory/verdict-memory.js',
    from: 'const forgotten = this.#entries.invalidate(invalidation);',
    to: 'const forgotten = [];',
  },
];
