import type { SecretReader } from '@keyward/client';
import { Pool, type PoolConfig } from 'pg';

/** Calls `use` with a pool by the user and password of a secret, and with another pool whenever the secret has other ones. */
export function followPool(secrets: SecretReader, name: string, use: (pool: Pool) => void): void {
  let before: Pool | undefined;
  secrets.onChange(name, (value) => {
    if (value === undefined) return; // There is none any more, as an error tells. The pool goes on with what it had.
    const pool = new Pool(JSON.parse(value.text) as PoolConfig); // {"user":"checkout_a","password":"…"}
    pool.on('error', console.error); // A connection that nobody uses was lost. Without this the process would end.
    use(pool);
    if (before !== undefined) endWhenUnused(before);
    before = pool;
  });
}

/** Ends a pool of which nobody asks anything any more. Whoever waits for one of its connections comes first: `end` forgets them. */
function endWhenUnused(pool: Pool): void {
  const end = (): void => {
    if (pool.waitingCount === 0 && !pool.ending) void pool.end();
  };
  pool.on('release', end);
  end();
}
