import type { Command } from 'commander';
import { AuditLog } from '../audit/audit-log.js';
import { ChainRepository } from '../audit/chain-repository.js';
import { bootstrap } from '../admin-bootstrap.js';
import { systemClock } from '../lib/clock.js';
import { writePrivately } from '../lib/private-file.js';
import { adminTokenFile } from './client-options.js';
import { printJsonLine, printLine } from './io/output.js';
import { readConfig } from './read-config.js';
import { withTargetDatabase } from './target-database.js';
import { io } from './io/io.js';

/** bootstrapCommand is `keyward bootstrap`. */
export function bootstrapCommand(command: Command): void {
  command
    .option('--reissue', 'give the admin token that exists a new plaintext; the old one is refused at once')
    .option('--json', 'print the result as JSON')
    .addHelpText(
      'after',
      '\nThe token of the embedded database is written to admin-token in KEYWARD_DATA_DIR too.\nA running service may go on refusing or accepting the old plaintext for KEYWARD_CACHE_TTL_SECONDS.',
    )
    .action(async ({ reissue, json }: { reissue?: true; json?: true }) => {
      const { databaseUrl, dataDir } = readConfig(io().env);
      const { plaintext } = await withTargetDatabase((knex, keyring) => {
        const audit = new AuditLog({ chains: new ChainRepository(knex), keys: keyring, clock: systemClock });
        return bootstrap(knex, audit, { reissue: reissue === true });
      });
      if (plaintext === undefined)
        throw new Error('there is an admin token already; --reissue gives it a new plaintext');
      if (json === true) printJsonLine({ token: plaintext });
      else printLine(plaintext);
      // The commands of this machine look for it there.
      if (databaseUrl === undefined) await writePrivately(adminTokenFile(dataDir), `${plaintext}\n`);
    });
}
