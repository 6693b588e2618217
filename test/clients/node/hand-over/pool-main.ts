import { setTimeout as delay } from 'node:timers/promises';
import { connect, createSecretReader } from '@keyward/client';
import type { Pool } from 'pg';
import { followPool } from './follow-pool.js';

/** A process of a service that queries its database all the time, by a user and password that are a secret. */

/** More than a pool has connections, so that some wait for one. */
const LOOPS = 8;
const CONNECTIONS = 4;
const QUERY_SECONDS = 0.005;

/** Queried is what such a process tells in the end. */
export interface Queried {
  readonly queries: number;
  readonly failures: readonly string[];
}

export interface PoolSettings {
  readonly server: string;
  readonly token: string;
  readonly secret: string;
}

process.on('message', (settings: PoolSettings | 'finish') => {
  if (settings === 'finish') finish();
  else open(settings);
});
process.on('disconnect', () => process.exit());

let queries = 0;
const failures: string[] = [];
let pool: Pool | undefined;
let isOver = false;

function open({ server, token, secret }: PoolSettings): void {
  const secrets = createSecretReader(connect({ servers: server, token }), { keep: true, label: 'hand-over' });
  followPool(secrets, secret, (next) => {
    next.options.max = CONNECTIONS;
    const isFirst = pool === undefined;
    pool = next;
    if (!isFirst) return;
    process.send?.('opened');
    for (let loop = 0; loop < LOOPS; loop += 1) void query();
  });
}

async function query(): Promise<void> {
  while (!isOver) {
    try {
      await pool?.query('SELECT pg_sleep($1)', [QUERY_SECONDS]);
      queries += 1;
    } catch (error) {
      failures.push(String(error));
      await delay(1_000 * QUERY_SECONDS);
    }
  }
}

function finish(): void {
  isOver = true;
  process.send?.({ queries, failures } satisfies Queried, () => process.exit());
}
