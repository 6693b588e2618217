/**
 * A process that uses the embedded database of the data directory in its first argument, as Keyward does. It
 * prints one JSON line once it has it; SIGTERM makes it stop; SIGINT makes it first show, by another line,
 * whether the database still answers.
 */
import pg from 'pg';
import { startEmbeddedPostgres } from '../../dist/db/embedded-postgres.js';

const [dataDir] = process.argv.slice(2);
if (dataDir === undefined) throw new Error('usage: embedded-owner-main <data directory>');

const print = (line) => process.stdout.write(`${JSON.stringify(line)}\n`);

const database = await startEmbeddedPostgres({ dataDir, settings: { checkpoint_timeout: '30s' } });
process.once('SIGTERM', () => void database.stop());
process.once('SIGINT', () => {
  void answers()
    .then((answersAfterInterrupt) => print({ answersAfterInterrupt }))
    .then(() => database.stop());
});

async function answers() {
  const client = new pg.Client({ connectionString: database.url });
  try {
    await client.connect();
    await client.query('SELECT 1');
    return true;
  } catch {
    return false;
  } finally {
    await client.end();
  }
}

print({ url: database.url, created: database.created });
