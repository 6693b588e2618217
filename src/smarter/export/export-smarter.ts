/**
 * `export/` is the way back: it writes what was made, changed, revoked and used in Keyward into the tables of the platform
 * that was taken over, so that the platform can judge its keys by itself again.
 *
 *     const report = await exportSmarter({ platformUrl, source: knex, keyring, keyId, audit, clock, … });
 */

import type { Knex } from 'knex';
import { OPERATOR, type AuditEntry, type AuditLog } from '../../audit/audit-log.js';
import type { Keyring } from '../../crypto/keyring.js';
import { schemaProblem } from '../../db/migrate.js';
import { connectPlatform } from '../connect-source.js';
import { alone } from '../import-lock.js';
import { SmarterImportError } from '../smarter-import-error.js';
import { forgetRecords, query, writeRecords } from '../target-store.js';
import { TARGET_TABLES } from '../target-tables.js';
import { BatchTally, ExportTally, type ExportedKind, type ExportReport } from './export-report.js';
import type { Platform, PlatformTransaction, Reference } from './platform.js';
import { deleteSecrets, exportSecrets, isTouched } from './secret-export.js';
import {
  isRevalued,
  openValues,
  readSecretsHere,
  type OpenedValue,
  type SecretHere,
} from './secrets-here.js';
import { stayingHere } from './staying.js';
import { Tags } from './tags.js';
import { deleteTokens, exportTokens, type WrittenRow } from './token-export.js';
import { readTokensHere } from './tokens-here.js';
import { exportUsers, readUsersHere } from './user-export.js';

export interface ExportOptions {
  /** URL of the Smarter platform's database, as for an import; its user must be able to write. */
  readonly platformUrl: string;
  /** Keyward's database, migrated. At least two connections are used. */
  readonly target: Knex;
  readonly keyring: Keyring;
  /** The key of the keyring that the platform decrypts secrets with. */
  readonly keyId: string;
  readonly audit: AuditLog;
  /** Write keys with narrower scopes switched on, although the platform lets them do everything. */
  readonly allScopes: boolean;
  /** Report everything and write nothing: what is written to the platform is rolled back, and no value leaves. */
  readonly dryRun: boolean;
  readonly onProgress?: (rows: number) => void;
  /** Most rows of a batch, each a transaction of its own on either side. */
  readonly batchSize?: number;
}

const TABLES = [
  ...['auth_user', 'account_userprofile', 'knox_authtoken', 'drf_smarterauthtoken', 'secret_secret'],
  ...['taggit_tag', 'taggit_taggeditem', 'django_content_type'],
];

const BATCH_SIZE = 500;
/** Values are 64 KiB and more, and each is held twice. */
const SECRET_BATCH_SIZE = 40;

/**
 * exportSmarter brings a platform up to date with Keyward. It may be repeated, also after it was interrupted: it writes
 * only what both sides do not agree on yet, and what it wrote is not a change for the next import.
 *
 * @throws SmarterImportError where the database is no Smarter database, Keyward's schema is not up to date, or another
 * import or export is running
 */
export async function exportSmarter(options: ExportOptions): Promise<ExportReport> {
  const problem = await schemaProblem(options.target);
  if (problem !== undefined) throw new SmarterImportError(`Nothing can be exported: ${problem}.`);
  const platform = await connectPlatform(options.platformUrl);
  try {
    return await alone(options.target, () => new SmarterExport(options, platform).run());
  } finally {
    await platform.close();
  }
}

/** Outcome is what a batch leaves on Keyward's side. */
interface Outcome {
  readonly written: readonly WrittenRow[];
  /** Keys of rows that are gone on both sides. */
  readonly gone: readonly string[];
}

class SmarterExport {
  readonly #options: ExportOptions;
  readonly #platform: Platform;
  readonly #report = new ExportTally();
  readonly #batchSize: number;

  constructor(options: ExportOptions, platform: Platform) {
    this.#options = options;
    this.#platform = platform;
    this.#batchSize = options.batchSize ?? BATCH_SIZE;
  }

  async run(): Promise<ExportReport> {
    const { target, dryRun } = this.#options;
    await this.#requireTables();
    const toTokens = await this.#platform.references('drf_smarterauthtoken');
    await this.#exportUsers();
    await this.#deleteRevoked('token', (trx, keys, tally) => deleteTokens(trx, keys, tally));
    await this.#exportTokens(toTokens);
    await this.#deleteRevoked('secret', async (trx, keys, tally) => {
      const tags = await Tags.of(trx, 'secret', 'secret');
      return deleteSecrets({ trx, tags, tally }, keys);
    });
    await this.#exportSecrets();
    return this.#report.build(dryRun, await stayingHere(target));
  }

  async #requireTables(): Promise<void> {
    const tables = await this.#platform.tables();
    const lacking = TABLES.filter((table) => !tables.has(table));
    if (lacking.length === 0) return;
    throw new SmarterImportError(
      `The target is not a Smarter database: it has no table ${lacking.join(', ')}.`,
    );
  }

  async #exportUsers(): Promise<void> {
    for (let after = ''; ;) {
      const users = await readUsersHere(this.#options.target, after, this.#batchSize);
      const last = users.at(-1);
      if (last === undefined) return;
      after = last.key;
      await this.#commit('user', async (trx, tally) => ({
        written: await exportUsers(trx, users, tally),
        gone: [],
      }));
    }
  }

  async #exportTokens(references: readonly Reference[]): Promise<void> {
    const { target, allScopes } = this.#options;
    for (let after = '0'; ;) {
      const tokens = await readTokensHere(target, after, this.#batchSize, allScopes);
      const last = tokens.at(-1);
      if (last === undefined) return;
      after = last.id;
      await this.#commit('token', async (trx, tally) => ({
        written: await exportTokens(trx, tokens, references, tally),
        gone: [],
      }));
    }
  }

  async #exportSecrets(): Promise<void> {
    const { target, keyring, keyId } = this.#options;
    for (let after = '0'; ;) {
      const secrets = await readSecretsHere(target, after, Math.min(this.#batchSize, SECRET_BATCH_SIZE));
      const last = secrets.at(-1);
      if (last === undefined) return;
      after = last.id;
      const touched = secrets.filter(isTouched);
      // Without an owner there it stays here, whatever it is.
      const revalued = touched.filter((each) => isRevalued(each) && each.fields['user_profile_id'] !== null);
      const values = await openValues(target, keyring, revalued);
      try {
        await this.#recordAccesses(revalued, values);
        await this.#commit('secret', async (trx, tally) => {
          tally.addUnchanged(secrets.length - touched.length);
          if (touched.length === 0) return { written: [], gone: [] };
          const tags = await Tags.of(trx, 'secret', 'secret');
          const leaving = this.#options.dryRun ? blank(values) : values;
          const written = await exportSecrets({ trx, tags, keyring, keyId, tally }, touched, leaving);
          return { written, gone: [] };
        });
      } finally {
        for (const value of values.values()) if ('plaintext' in value) value.plaintext.fill(0);
      }
    }
  }

  /** #recordAccesses writes that values leave, before they do. */
  async #recordAccesses(
    secrets: readonly SecretHere[],
    values: ReadonlyMap<string, OpenedValue>,
  ): Promise<void> {
    const entries = secrets.flatMap(({ id, version, owner }): AuditEntry[] => {
      const value = values.get(id);
      if (value === undefined || 'refused' in value) return [];
      return [
        {
          actor: OPERATOR,
          action: 'SECRET_ACCESSED',
          outcome: 'OK',
          resource: { kind: 'secret', id: BigInt(id), ...owner },
          detail: { version: String(version), purpose: 'export' },
        },
      ];
    });
    if (entries.length === 0 || this.#options.dryRun) return;
    await this.#options.target.transaction((trx) => this.#options.audit.record(trx, entries));
  }

  /** #deleteRevoked deletes, batch by batch, what came from the platform or went there and is not in Keyward any more. */
  async #deleteRevoked(
    kind: 'token' | 'secret',
    remove: (trx: PlatformTransaction, keys: readonly string[], tally: BatchTally) => Promise<string[]>,
  ): Promise<void> {
    const { table, present } = TARGET_TABLES[kind];
    for (let after = ''; ;) {
      const rows = await query<{ key: string }>(
        this.#options.target,
        `SELECT r.source_key AS key FROM import_records r LEFT JOIN ${table} t ON t.id = r.target_id AND ${present}
         WHERE r.kind = ? AND t.id IS NULL AND r.source_key > ? ORDER BY r.source_key LIMIT ?`,
        [kind, after, this.#batchSize],
      );
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.key;
      const keys = rows.map(({ key }) => key);
      await this.#commit(kind, async (trx, tally) => ({ written: [], gone: await remove(trx, keys, tally) }));
    }
  }

  /**
   * #commit writes a batch to the platform, and then remembers what both sides hold. What was interrupted in between is
   * found out by the next run: it reads the platform's rows before it writes any.
   */
  async #commit(
    kind: ExportedKind,
    work: (trx: PlatformTransaction, tally: BatchTally) => Promise<Outcome>,
  ): Promise<void> {
    const { target, audit, dryRun } = this.#options;
    const tally = new BatchTally(kind);
    const { written, gone } = await this.#platform.run((trx) => work(trx, tally), !dryRun);
    const detail = tally.written();
    const entry: AuditEntry = {
      actor: OPERATOR,
      action: 'DATA_EXPORTED',
      outcome: 'OK',
      resource: { kind, id: null },
      detail,
    };
    if (!dryRun && written.length + gone.length + Object.keys(detail).length > 0) {
      await target.transaction(async (trx) => {
        await writeRecords(trx, kind, written);
        await forgetRecords(trx, kind, [...gone]);
        if (Object.keys(detail).length > 0) await audit.record(trx, [entry]);
      });
    }
    this.#report.add(tally);
    this.#options.onProgress?.(this.#report.done);
  }
}

/** blank stands for values in a dry run: as many, and nothing in them. */
function blank(values: ReadonlyMap<string, OpenedValue>): ReadonlyMap<string, OpenedValue> {
  return new Map(
    [...values].map(([id, value]) => [id, 'plaintext' in value ? { plaintext: Buffer.alloc(0) } : value]),
  );
}
