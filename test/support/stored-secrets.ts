import { randomUUID } from 'node:crypto';
import { FernetKey } from '../../src/crypto/fernet.js';
import { Keyring } from '../../src/crypto/keyring.js';
import { openDatabase, type Database } from '../../src/db/knex.js';
import { systemClock } from '../../src/lib/clock.js';
import { bind, type Place } from '../../src/secret/binding/binding.js';
import { registerCanary } from './canaries.js';
import { fernetKey } from './fernet-vectors.js';
import { existing } from './world.js';

/** StoredVersion is a version as it stands in its table; one without a ciphertext is destroyed. */
export interface StoredVersion {
  readonly keyId: string | null;
  readonly ciphertext: Buffer | null;
  readonly isDisabled?: boolean;
}

export interface StoredSecret {
  readonly versions: readonly StoredVersion[];
  readonly isDeleted?: boolean;
}

const CHUNK = 1000;

/** newKey is the text of a key, registered as a canary. */
export function newKey(): string {
  return registerCanary(FernetKey.generate());
}

/** sealed is a version whose value a key encrypted, at a second since 1970. */
export function sealed(
  keyText: string,
  value: string | Buffer,
  at = 1n,
): StoredVersion & { ciphertext: Buffer } {
  const key = fernetKey(keyText);
  return { keyId: key.id, ciphertext: key.encrypt(Buffer.from(value), at) };
}

/**
 * storeSecrets writes secrets into the tables, past the service, and gives their ids in the same order. One key binds
 * all values to their places.
 */
export async function storeSecrets(
  knex: Database,
  profileId: bigint,
  bindingKey: string,
  secrets: readonly StoredSecret[],
): Promise<bigint[]> {
  const keyring = new Keyring([fernetKey(bindingKey)], systemClock);
  const ids: bigint[] = [];
  for (let start = 0; start < secrets.length; start += CHUNK) {
    const chunk = secrets.slice(start, start + CHUNK);
    const names = chunk.map(() => randomUUID());
    const inserted = knex('secrets').insert(
      chunk.map(({ isDeleted = false }, at) => ({
        user_profile_id: String(profileId),
        name: names[at],
        name_key: names[at],
        ...(isDeleted ? { deleted_at: knex.fn.now(), purge_at: knex.raw("now() + '1 day'") } : {}),
      })),
    );
    const rows = await inserted.returning<{ id: bigint }[]>('id');
    const chunkIds = rows.map(({ id }) => id);
    await knex('secret_versions').insert(
      chunk.flatMap(({ versions }, at) => versionRows(keyring, existing(chunkIds[at]), versions)),
    );
    ids.push(...chunkIds);
  }
  return ids;
}

function versionRows(keyring: Keyring, secretId: bigint, versions: readonly StoredVersion[]): object[] {
  return versions.map(({ keyId, ciphertext, isDisabled = false }, index) => ({
    secret_id: String(secretId),
    number: index + 1,
    format: 'TEXT',
    key_id: keyId,
    ciphertext,
    ...bindingColumns(keyring, { secretId, number: index + 1 }, { keyId, ciphertext }),
    created_at: new Date(0),
    ...(ciphertext === null
      ? { state: 'DESTROYED', destroyed_at: new Date(0) }
      : { state: isDisabled ? 'DISABLED' : 'ENABLED', destroyed_at: null }),
  }));
}

/** bindingColumns binds a text to its place. */
export function bindingColumns(
  keyring: Keyring,
  place: Place,
  { keyId, ciphertext }: StoredVersion,
): { binding: Buffer | null; binding_key_id: string | null } {
  if (ciphertext === null) return { binding: null, binding_key_id: null };
  const binding = bind(keyring, place, { format: 'TEXT', keyId, ciphertext });
  return { binding: binding.mac, binding_key_id: binding.keyId };
}

/** connectTo opens a database for a test. */
export function connectTo(url: string, poolSize = 4): Database {
  return openDatabase({ url, poolSize, connectTimeoutMs: 5000 });
}

interface VersionRow {
  secret_id: bigint;
  number: number;
  state: string;
  key_id: string | null;
  ciphertext: Buffer | null;
}

/** storedVersions reads all versions of all secrets. */
export async function storedVersions(knex: Database): Promise<VersionRow[]> {
  const query = knex('secret_versions').select('secret_id', 'number', 'state', 'key_id', 'ciphertext');
  return (await query.orderBy(['secret_id', 'number'])) as VersionRow[];
}
