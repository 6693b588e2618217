/**
 * A process that uses the embedded database of the data directory in its first argument, as Keyward does. It
 * prints one JSON line once it has it; SIGTERM makes it stop; SIGINT makes it first show, by another line,
 * whether the database still answers.
 */
import { startEmbeddedPostgres } from '../../src/db/embedded-postgres.js';
import { execute } from './sql.js';

const [dataDir] = process.argv.slice(2);
if (dataDir === undefined) throw new Error('usage: embedded-owner-main <data directory>');

const print = (line: object) => process.stdout.write(`${JSON.stringify(line)}\n`);

const database = await startEmbeddedPostgres({ dataDir, settings: { checkpoint_timeout: '30s' } });
process.once('SIGTERM', () => void database.stop());
process.once('SIGINT', () => {
  void execute(database.url, 'SELECT 1')
    .then(
      () => print({ answersAfterInterrupt: true }),
      () => print({ answersAfterInterrupt: false }),
    )
    .then(() => database.stop());
});
print({ url: database.url, created: database.created });
