import type { Knex } from 'knex';
import { OPERATOR, type AuditEntry, type AuditLog } from '../../audit/audit-log.js';
import type { Keyring } from '../../crypto/keyring.js';
import { hasCode } from '../../lib/errno.js';
import { announce, forgetGone, rememberGone } from '../announcements.js';
import { SmarterImportError } from '../smarter-import-error.js';
import { query, writeRecords } from '../target-store.js';
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
import { among, partsOf, type ChangedHere } from './here.js';
import { deleteTokens, exportTokens, type WrittenRow } from './token-export.js';
import { readTokensHere } from './tokens-here.js';
import { exportUsers, readUsersHere } from './user-export.js';

export interface ExportRunOptions {
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
  /** signal ends it between two batches. */
  readonly signal?: AbortSignal;
  /** Milliseconds that the platform's database may take for an answer. */
  readonly answerLimitMs?: number;
  /** Most rows of a batch, each a transaction of its own on either side. */
  readonly batchSize?: number;
}

/** How often a batch is tried that the platform holds up by writing the same rows. */
const ATTEMPTS = 5;
const HELD_UP = ['40001', '40P01', '55P03', 'ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT'];

const TABLES = [
  ...['auth_user', 'account_userprofile', 'knox_authtoken', 'drf_smarterauthtoken', 'secret_secret'],
  ...['taggit_tag', 'taggit_taggeditem', 'django_content_type'],
];

const BATCH_SIZE = 500;
/** Values are 64 KiB and more, and each is held twice. */
const SECRET_BATCH_SIZE = 40;

/** Outcome is what a batch leaves on Keyward's side. */
interface Outcome {
  readonly written: readonly WrittenRow[];
  /** Keys of rows that are gone on both sides. */
  readonly gone: readonly string[];
}

/** ExportRun is one export, of everything or of some rows. Whoever runs it holds the lock of imports. */
export class ExportRun {
  readonly #options: ExportRunOptions;
  readonly #platform: Platform;
  readonly #report = new ExportTally();
  readonly #batchSize: number;

  constructor(options: ExportRunOptions, platform: Platform) {
    this.#options = options;
    this.#platform = platform;
    this.#batchSize = options.batchSize ?? BATCH_SIZE;
  }

  /** everything brings all rows up to date. */
  async everything(): Promise<ExportReport> {
    await this.requireTables();
    await this.#write(undefined);
    if (!this.#options.dryRun) await forgetGone(this.#options.target);
    return this.#report.build(this.#options.dryRun, await stayingHere(this.#options.target));
  }

  /** only brings rows up to date that may have changed. */
  async only(changed: ChangedHere): Promise<ExportReport> {
    for (const part of partsOf(changed, this.#batchSize)) await this.#write(part);
    return this.#report.build(this.#options.dryRun, []);
  }

  async #write(only: ChangedHere | undefined): Promise<void> {
    if (isAsked(only?.users)) await this.#exportUsers(only?.users);
    if (isAsked(only?.tokens)) {
      const toTokens = await this.#platform.references('drf_smarterauthtoken');
      await this.#deleteRevoked('token', only?.tokens, (trx, keys, tally) => deleteTokens(trx, keys, tally));
      await this.#exportTokens(toTokens, only?.tokens);
    }
    if (isAsked(only?.secrets)) {
      await this.#deleteRevoked('secret', only?.secrets, async (trx, keys, tally) => {
        const tags = await Tags.of(trx, 'secret', 'secret');
        return deleteSecrets({ trx, tags, tally }, keys);
      });
      await this.#exportSecrets(only?.secrets);
    }
  }

  /** requireTables makes sure that this is a platform. */
  async requireTables(): Promise<void> {
    const tables = await this.#platform.tables();
    const lacking = TABLES.filter((table) => !tables.has(table));
    if (lacking.length === 0) return;
    throw new SmarterImportError(
      `The target is not a Smarter database: it has no table ${lacking.join(', ')}.`,
    );
  }

  async #exportUsers(only: readonly string[] | undefined): Promise<void> {
    for (let after = ''; ;) {
      const users = await readUsersHere(this.#options.target, after, this.#batchSize, only);
      const last = users.at(-1);
      if (last === undefined) return;
      after = last.key;
      await this.#commit('user', async (trx, tally) => ({
        written: await exportUsers(trx, users, tally),
        gone: [],
      }));
    }
  }

  async #exportTokens(references: readonly Reference[], only: readonly string[] | undefined): Promise<void> {
    const { target, allScopes } = this.#options;
    for (let after = '0'; ;) {
      const tokens = await readTokensHere(target, { after, limit: this.#batchSize, only }, allScopes);
      const last = tokens.at(-1);
      if (last === undefined) return;
      after = last.id;
      await this.#commit('token', async (trx, tally) => ({
        written: await exportTokens(trx, tokens, references, tally),
        gone: [],
      }));
    }
  }

  async #exportSecrets(only: readonly string[] | undefined): Promise<void> {
    const { target, keyring, keyId } = this.#options;
    for (let after = '0'; ;) {
      const secrets = await readSecretsHere(target, {
        ...{ after, only },
        limit: Math.min(this.#batchSize, SECRET_BATCH_SIZE),
      });
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
    only: readonly string[] | undefined,
    remove: (trx: PlatformTransaction, keys: readonly string[], tally: BatchTally) => Promise<string[]>,
  ): Promise<void> {
    const { table, present } = TARGET_TABLES[kind];
    for (let after = ''; ;) {
      const rows = await query<{ key: string }>(
        this.#options.target,
        `SELECT r.source_key AS key FROM import_records r LEFT JOIN ${table} t ON t.id = r.target_id AND ${present}
         WHERE r.kind = ? AND t.id IS NULL AND r.source_key > ? ${among(only, 'r.target_id').sql}
         ORDER BY r.source_key LIMIT ?`,
        [kind, after, ...among(only, 'r.target_id').bindings, this.#batchSize],
      );
      const last = rows.at(-1);
      if (last === undefined) return;
      after = last.key;
      const keys = rows.map(({ key }) => key);
      await this.#commit(kind, async (trx, tally) => ({ written: [], gone: await remove(trx, keys, tally) }));
    }
  }

  /**
   * #commit writes a batch to the platform, and then remembers what both sides hold. It says what it is about to write
   * before, so that whatever is done next finds out what has become of a batch that was interrupted in between.
   */
  async #commit(
    kind: ExportedKind,
    work: (trx: PlatformTransaction, tally: BatchTally) => Promise<Outcome>,
  ): Promise<void> {
    const { target, audit, dryRun, signal } = this.#options;
    signal?.throwIfAborted();
    const { tally, written, gone } = await this.#attempt(kind, work);
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
        await rememberGone(trx, kind, gone);
        if (Object.keys(detail).length > 0) await audit.record(trx, [entry]);
      });
    }
    this.#report.add(tally);
    this.#options.onProgress?.(this.#report.done);
  }

  async #attempt(
    kind: ExportedKind,
    work: (trx: PlatformTransaction, tally: BatchTally) => Promise<Outcome>,
  ): Promise<Outcome & { readonly tally: BatchTally }> {
    const { target, dryRun } = this.#options;
    const announced = async (trx: PlatformTransaction, tally: BatchTally): Promise<Outcome> => {
      const outcome = await work(trx, tally);
      if (!dryRun) await target.transaction((own) => announce(own, kind, outcome.written));
      return outcome;
    };
    for (let attempt = 1; ; attempt += 1) {
      const tally = new BatchTally(kind);
      try {
        return { tally, ...(await this.#platform.run((trx) => announced(trx, tally), !dryRun)) };
      } catch (error) {
        if (attempt === ATTEMPTS || !hasCode(error, ...HELD_UP)) throw error;
      }
    }
  }
}

function isAsked(only: readonly string[] | undefined): boolean {
  return only === undefined || only.length > 0;
}

/** blank stands for values in a dry run: as many, and nothing in them. */
function blank(values: ReadonlyMap<string, OpenedValue>): ReadonlyMap<string, OpenedValue> {
  return new Map(
    [...values].map(([id, value]) => [id, 'plaintext' in value ? { plaintext: Buffer.alloc(0) } : value]),
  );
}
