import { lstatSync } from 'node:fs';
import { InvalidArgumentError, type Command } from 'commander';
import { clusterNameIn, upgradeCluster } from '../db/embedded-postgres.js';
import { io } from './io/io.js';
import { printJsonLine, printLine, printErrorLine } from './io/output.js';
import { readConfig } from './read-config.js';
import { untilSignal } from './serve/signals.js';

const HELP = `
A newer Keyward may bring a newer PostgreSQL, which cannot run the database of an older one. This copies everything by a
dump: it needs the programs "postgres" of the old version, and "pg_dump" and "psql" of that version or a later one, which
it finds where systems put them. The old database is only read, and is kept beside the new one, as postgres-VERSION: remove
it when all is well. Stop every Keyward that uses the data directory first. Where it is broken off, by Ctrl-C or because the
time is up, nothing has changed. Roles and grants that you added by hand are not taken along.`;

const DEFAULT_MINUTES = 24 * 60;

interface Options {
  readonly oldPrograms?: string;
  readonly timeLimit: number;
  readonly json?: true;
}

/** upgradeDatabaseCommand is `keyward upgrade-database`. */
export function upgradeDatabaseCommand(command: Command): void {
  command
    .option('--old-programs <DIRECTORY>', 'where the programs of the old version are')
    .option('--time-limit <MINUTES>', 'how long it may take', readMinutes, DEFAULT_MINUTES)
    .option('--json', 'print the result as JSON')
    .addHelpText('after', HELP)
    .action(async ({ oldPrograms, timeLimit, json }: Options) => {
      const { databaseUrl, dataDir } = readConfig(io().env);
      if (databaseUrl !== undefined)
        throw new Error(
          'DATABASE_URL is set: that database is for you to upgrade, by the tools of PostgreSQL',
        );
      if (lstatSync(dataDir, { throwIfNoEntry: false }) === undefined)
        throw new Error(`there is no database: there is no ${clusterNameIn(dataDir)} (KEYWARD_DATA_DIR)`);
      const limitMs = timeLimit * 60_000;
      const { from, to, aside } = await untilSignal((signal) =>
        upgradeCluster({ dataDir, oldPrograms, limitMs, signal, onProgress: printErrorLine }),
      );
      if (json === true) printJsonLine({ from, to, aside: aside ?? null });
      else if (aside === undefined) printLine(`The database is of PostgreSQL ${to} already.`);
      else printLine(`The database is of PostgreSQL ${to} now. The old one is kept in ${aside}.`);
    });
}

function readMinutes(text: string): number {
  const minutes = Number(text);
  if (text.trim() === '' || !(minutes > 0)) throw new InvalidArgumentError('It must be a number above 0.');
  return minutes;
}
