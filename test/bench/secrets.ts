import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import type { KeywardClient } from '../../src/client/index.js';
import { FernetKey } from '../../src/crypto/fernet.js';
import { Keyring } from '../../src/crypto/keyring.js';
import {
  AccessSecretRequest,
  AccessSecretResponse,
  GetSecretRequest,
  GetSecretResponse,
} from '../../src/gen/keyward/secret/v1/secret_service.js';
import { systemClock } from '../../src/lib/clock.js';
import { bind } from '../../src/secret/binding/binding.js';
import { execute } from '../support/sql.js';
import { ownerIdOf, type Exchange } from './tokens.js';

/** The secrets of a benchmark are made from their numbers, as its tokens are, and have the same owners. */

/** KEY is what every server of a run encrypts with. */
export const KEY = FernetKey.generate();
const FIRST_ID = 1000;

/** fillSecrets writes secrets 0 to `count` - 1, each with one version of 64 bytes. */
export async function fillSecrets(databaseUrl: string, count: number): Promise<void> {
  const key = FernetKey.parse(KEY);
  assert(key);
  const secrets = Array.from({ length: count }, (_, secret) => secret);
  const ids = secrets.map((secret) => String(idOf(secret)));
  const keyring = new Keyring([key], systemClock);
  const ciphertexts = secrets.map((secret) => key.encrypt(Buffer.from(valueOf(secret)), 0n));
  const macs = ciphertexts.map((ciphertext, secret) => {
    const place = { secretId: idOf(secret), number: 1 };
    return bind(keyring, place, { format: 'TEXT', keyId: key.id, ciphertext }).mac;
  });
  await execute(
    databaseUrl,
    `INSERT INTO secrets (id, user_profile_id, name, name_key)
     SELECT id, owner, 'secret-' || id, 'secret-' || id FROM unnest($1::bigint[], $2::bigint[]) AS secret (id, owner)`,
    [ids, secrets.map((secret) => ownerIdOf(secret))],
  );
  await execute(
    databaseUrl,
    `INSERT INTO secret_versions (secret_id, number, format, key_id, ciphertext, binding, binding_key_id)
     SELECT id, 1, 'TEXT', $2, ciphertext, mac, $2
     FROM unnest($1::bigint[], $3::bytea[], $4::bytea[]) AS version (id, ciphertext, mac)`,
    [ids, key.id, ciphertexts, macs],
  );
  await execute(databaseUrl, 'VACUUM ANALYZE secrets, secret_versions');
}

/** readExchange asks for a secret's metadata, whose right form is what the service's own client gets. */
export async function readExchange(client: KeywardClient, secret: number): Promise<Exchange> {
  const request = { secret: selectorOf(secret) };
  const response = await client.secrets.getSecret(request);
  return {
    request: GetSecretRequest.encode(request).finish(),
    response: GetSecretResponse.encode(response).finish(),
  };
}

/** accessExchange asks for a secret's value. */
export function accessExchange(secret: number): Exchange {
  const request = { secret: selectorOf(secret), version: 0, includeExpired: false, skipAccessTime: false };
  const payload = { value: { $case: 'text', value: valueOf(secret) } } as const;
  return {
    request: AccessSecretRequest.encode(request).finish(),
    response: AccessSecretResponse.encode({ secretId: idOf(secret), version: 1, payload }).finish(),
  };
}

function idOf(secret: number): bigint {
  return BigInt(FIRST_ID + secret);
}

/** valueOf is a value of 64 bytes. */
function valueOf(secret: number): string {
  return createHash('sha256').update(`value ${secret}`).digest('hex');
}

function selectorOf(secret: number): NonNullable<GetSecretRequest['secret']> {
  return { selector: { $case: 'id', value: idOf(secret) } };
}
