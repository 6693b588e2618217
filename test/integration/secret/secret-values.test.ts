import { randomBytes } from 'node:crypto';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, expect, test } from 'vitest';
import {
  KeywardCallError,
  SecretFormat,
  type AccessSecretResponse,
  type BatchAccessSecretsResult,
  type SecretPayload,
} from '../../../src/client/index.js';
import { BatchAccessSecretsResponse } from '../../../src/gen/keyward/secret/v1/secret_service.js';
import { ErrorInfo } from '../../../src/gen/google/rpc/error_details.js';
import { Status } from '../../../src/gen/google/rpc/status.js';
import { registerCanary } from '../../support/canaries.js';
import { byId } from '../../support/requests.js';
import { outcomeOf, Peer } from '../../support/rpc.js';
import { existing, newValue, textOf, World } from '../../support/world.js';

const MAX_BYTES = 65_536;

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(async () => {
  await world.close();
});

const dataOf = (data: Buffer): SecretPayload => ({ value: { $case: 'data', value: data } });

async function access(id: bigint, version = 0): Promise<AccessSecretResponse> {
  return world.admin.secrets.accessSecret({ secret: byId({ id }), version });
}

test.each([
  ['one character', textOf('x')],
  ['64 KiB of text', textOf('é'.repeat(MAX_BYTES / 2))],
  ['a text with NUL, a byte-order mark and an emoji', textOf('\uFEFFa\0b😀\n')],
  ['one byte', dataOf(Buffer.from([0]))],
  ['64 KiB of bytes', dataOf(randomBytes(MAX_BYTES))],
  ['bytes that are no UTF-8', dataOf(Buffer.from([0xff, 0xfe, 0x00, 0xc3, 0x28]))],
  ['bytes that are UTF-8 too', dataOf(Buffer.from('text'))],
])('%s comes out as it was given', async (_, payload) => {
  const { id } = await world.keep('owner-a', { payload });
  expect(await access(id)).toEqual({ secretId: id, version: 1, payload });
  const { versions } = await world.admin.secrets.listSecretVersions({ secret: byId({ id }) });
  const format = payload.value?.$case === 'text' ? 'SECRET_FORMAT_TEXT' : 'SECRET_FORMAT_BINARY';
  expect(versions).toMatchObject([{ number: 1, format: SecretFormat[format] }]);
});

test('a new version is what is read then, and the one before can still be asked for', async () => {
  const { id, value } = await world.keep('owner-a');
  const next = newValue();
  const added = await world.admin.secrets.addSecretVersion({
    selector: byId({ id }),
    payload: textOf(next),
  });
  expect(added.version).toMatchObject({ number: 2, createdBy: 'admin' });
  expect(await access(id)).toEqual({ secretId: id, version: 2, payload: textOf(next) });
  expect(await access(id, 1)).toEqual({ secretId: id, version: 1, payload: textOf(value) });
});

/** errorOf is the reason and the metadata of a failed part of a batch. */
function errorOf({ result }: BatchAccessSecretsResult): unknown {
  if (result?.$case !== 'error') return result;
  const info = existing(
    result.value.details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.ErrorInfo')),
  );
  const { reason, metadata } = ErrorInfo.decode(info.value);
  return { code: result.value.code, message: result.value.message, reason, metadata };
}

test('a batch answers each request as AccessSecret does, in their order, down to the details of errors', async () => {
  const [good, gone, disabled] = await Promise.all([1, 2, 3].map(() => world.keep('owner-a')));
  const secrets = [existing(good), existing(gone), existing(disabled)] as const;
  await world.admin.secrets.deleteSecret({ selector: byId(secrets[1]) });
  await world.admin.secrets.disableSecretVersion({ selector: byId(secrets[2]), version: 1 });
  const requests = [
    ...secrets.map((secret) => ({ secret: byId(secret) })),
    { secret: byId(secrets[0]), version: 9 },
    { secret: byId({ id: 9_000_000_000n }) },
  ];
  const peer = new Peer(world.server.address, { token: world.tokenOf('staff-a') });
  const batch = await peer.call('batchAccessSecrets', { requests });
  const { results } = BatchAccessSecretsResponse.decode(batch.response);
  for (const [index, request] of requests.entries()) {
    const alone = await peer.call('accessSecret', request);
    const part = existing(results[index]);
    if (part.result?.$case === 'error') {
      const details = Buffer.from(Status.encode(part.result.value).finish()).toString('hex');
      expect(alone.trailers).toContain(details);
    } else {
      expect(alone).toMatchObject({ code: 'OK' });
    }
  }
  peer.close();
  expect(results.map(({ result }) => result?.$case)).toEqual(['access', 'error', 'error', 'error', 'error']);
  expect(errorOf(existing(results[2]))).toMatchObject({ code: 9, reason: 'VERSION_NOT_ENABLED' });
});

test('in a batch, what one may not read answers as what does not exist', async () => {
  const { id } = await world.keep('owner-a');
  const { results } = await world.as('staff-b').secrets.batchAccessSecrets({
    requests: [{ secret: byId({ id }) }, { secret: byId({ id: 9_000_000_000n }) }],
  });
  expect(results.map(errorOf)).toEqual([
    errorOf(existing(results[1])),
    { code: 5, message: 'There is no such secret.', reason: 'NOT_FOUND', metadata: new Map() },
  ]);
});

test('a batch of as many of the largest values as fit reaches the client, and of one more none is accessed', async () => {
  const payload = textOf(registerCanary(randomBytes(MAX_BYTES / 2).toString('hex')));
  const { id } = await world.keep('owner-a', { payload });
  const other = await world.keep('owner-a', { payload });
  const batch = (count: number, secret: bigint) => {
    const requests = Array.from({ length: count }, () => ({ secret: byId({ id: secret }) }));
    return world.admin.secrets.batchAccessSecrets({ requests });
  };
  const error: unknown = await batch(100, other.id).catch((failure: unknown) => failure);
  if (!(error instanceof KeywardCallError)) throw new Error('the batch was not refused');
  expect(error).toMatchObject({ code: status.RESOURCE_EXHAUSTED, reason: 'ANSWERS_TOO_LARGE' });
  const fitting = Number(error.metadata.get('fitting'));
  expect(fitting).toBeGreaterThan(40);
  const { results } = await batch(fitting, id);
  expect(results).toHaveLength(fitting);
  for (const { result } of results) expect(result).toMatchObject({ $case: 'access', value: { payload } });
  expect(BatchAccessSecretsResponse.encode({ results }).finish().length).toBeLessThan(3 * 1024 * 1024);
  expect(await outcomeOf(batch(fitting + 1, other.id))).toBe('RESOURCE_EXHAUSTED ANSWERS_TOO_LARGE');
  const { secret } = await world.admin.secrets.getSecret({ secret: byId(other) });
  expect(secret?.lastAccessedAt).toBeUndefined();
  const filter = `action = "SECRET_ACCESSED" AND resource_id = ${other.id}`;
  expect((await world.admin.audit.listAuditEvents({ filter })).events).toEqual([]);
});

test('the rotation of keys tells of its end, and the status of which key is in use', async () => {
  await world.keep('owner-a');
  const messages = [];
  for await (const message of world.admin.secrets.rotateEncryptionKey({})) messages.push(message);
  const rotation = await world.admin.secrets.getRotationStatus({});
  expect(messages).toEqual([
    { done: 0n, total: 0n, failed: 0n, finished: true, primaryKeyId: rotation.primaryKeyId },
  ]);
  expect(rotation).toMatchObject({
    keys: [{ keyId: rotation.primaryKeyId, isConfigured: true, isPrimary: true }],
    undecryptableCount: 0n,
    undecryptable: [],
  });
  const asStaff = async () => {
    for await (const _ of world.as('staff-a').secrets.rotateEncryptionKey({})) break;
  };
  expect(await outcomeOf(asStaff())).toBe('PERMISSION_DENIED NOT_PERMITTED');
});
