import pg from 'pg';
import { onTestFinished } from 'vitest';

/** lockDigests makes whoever asks a database for a token wait until what it gives is run, at the latest at the end of the test. */
export async function lockDigests(databaseUrl: string): Promise<() => Promise<void>> {
  const holder = new pg.Client({ connectionString: databaseUrl });
  await holder.connect();
  await holder.query('BEGIN; LOCK TABLE token_digests IN ACCESS EXCLUSIVE MODE');
  const unlock = () => holder.end();
  onTestFinished(unlock);
  return unlock;
}
