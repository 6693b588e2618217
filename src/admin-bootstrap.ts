import { randomUUID } from 'node:crypto';
import { ensureAdminProfile, restoreAdmin } from './account/admin-profile.js';
import { OPERATOR, type AuditAction, type AuditEntry, type AuditLog } from './audit/audit-log.js';
import { inTransaction } from './db/transaction.js';
import { systemClock } from './lib/clock.js';
import { instantFromMillis } from './lib/instant.js';
import { defaultsOf } from './lib/fields.js';
import { ALL_SCOPES } from './lib/scopes.js';
import { TokenRepository } from './token/token-repository.js';
import { newPlaintext, TOKEN_FIELDS, type Token } from './token/token.js';
import type { Database, Transaction } from './db/knex.js';

// Not a name that a token taken over from another platform is likely to have.
const ADMIN_TOKEN_NAME = 'keyward-admin';

/** Bootstrapped is what a bootstrap did. */
export interface Bootstrapped {
  /** The admin token's plaintext; undefined if there is such a token and it was left as it is. */
  readonly plaintext: string | undefined;
}

/**
 * bootstrap makes what nobody could make through the API: the platform account, the superuser `admin` and a
 * token of theirs that may do everything. What exists is left alone, but for the token's plaintext if
 * `reissue` is set: the old one is then refused at once, and the token, its user and its account are switched on,
 * and it may do everything, without an end, again, so that whoever can reach the database can always get back in.
 */
export function bootstrap(
  knex: Database,
  audit: Pick<AuditLog, 'record'>,
  { reissue }: { readonly reissue: boolean },
): Promise<Bootstrapped> {
  return inTransaction(knex, async (trx) => {
    const { plaintext, entries } = await makeAdmin(trx, reissue);
    await audit.record(
      trx,
      entries.map((entry) => ({ actor: OPERATOR, ...entry })),
    );
    return { plaintext };
  });
}

type Entry = Omit<AuditEntry, 'actor'>;

async function makeAdmin(
  trx: Transaction,
  reissue: boolean,
): Promise<Bootstrapped & { readonly entries: readonly Entry[] }> {
  const tokens = new TokenRepository(trx);
  const now = instantFromMillis(systemClock.now());
  const { profileId, entries } = await ensureAdminProfile(trx, now);
  const owner = { by: 'id', id: profileId } as const;
  const [token] = await tokens.find({ by: 'owner', owner, name: ADMIN_TOKEN_NAME }, trx);
  if (token !== undefined) {
    if (!reissue) return { plaintext: undefined, entries };
    const secret = newPlaintext('');
    await tokens.setActive(trx, await tokens.replaceDigest(trx, token.id, secret, null, null), true);
    await tokens.update(trx, token.id, { expiresAt: null, scopes: ALL_SCOPES });
    const restored = await restoreAdmin(trx, token.owner, now);
    return {
      plaintext: secret.plaintext,
      entries: [...entries, tokenEntry('TOKEN_ROTATED', token), ...restored],
    };
  }
  const admin = await tokens.findOwner(trx, owner);
  if (admin === undefined) throw new Error('the profile made in this transaction is gone');
  const secret = newPlaintext('');
  const settings = {
    ...defaultsOf(TOKEN_FIELDS),
    name: ADMIN_TOKEN_NAME,
    description: 'Made by bootstrap.',
  };
  const made = await tokens.insert(trx, randomUUID(), admin, settings, secret, null);
  return { plaintext: secret.plaintext, entries: [...entries, tokenEntry('TOKEN_CREATED', made)] };
}

function tokenEntry(action: AuditAction, { id, owner }: Token): Entry {
  const { profileId, accountId, accountNumber } = owner;
  const resource = { kind: 'token', id, profileId, accountId, accountNumber } as const;
  return { action, outcome: 'OK', resource, detail: {} };
}
