import { randomBytes } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { connect, type SecretPayload } from '../../../src/client/index.js';
import {
  CreateSecretResponse,
  WatchSecretsResponse,
} from '../../../src/gen/keyward/secret/v1/secret_service.js';
import { registerCanary } from '../../support/canaries.js';
import { fieldsWith, requestFields } from '../../support/descriptors.js';
import { testKeyring } from '../../support/audit.js';
import { fernetKey } from '../../support/fernet-vectors.js';
import { TEST_KEY } from '../../support/keyring.js';
import { byId, requestFor } from '../../support/requests.js';
import {
  encodeRequest,
  isWatch,
  METHOD_NAMES,
  Peer,
  type MethodName,
  type RequestOf,
} from '../../support/rpc.js';
import { runKeyward } from '../../support/keyward-command.js';
import { ServerProcess } from '../../support/server-process.js';
import { execute } from '../../support/sql.js';
import { bindingColumns, newKey, sealed, type StoredVersion } from '../../support/stored-secrets.js';
import { startTcpProxy, type TcpProxy } from '../../support/tcp-proxy.js';
import { readTables } from '../../support/tables.js';
import { beginningOfData, tracesOfAll } from '../../support/traces.js';
import { WatchedCalls } from '../../support/watched-calls.js';
import { existing, textOf, World } from '../../support/world.js';

const LARGEST = 65_536;
/** Methods whose answers carry values. */
const CARRIERS: readonly MethodName[] = ['accessSecret', 'batchAccessSecrets'];
/** Fields in which a text of any form is only looked up or compared. */
const LOOKED_UP =
  /(^|\.)(etag|page_token|filter|order_by|hashed_id|record_locator|key_id|update_mask\.paths|owned_name\.name|membership\.\w+)$/;

let world: World;
let proxy: TcpProxy;
let service: ServerProcess;
let calls: WatchedCalls;
let directory: string;
/** All values, text and bytes. */
const values: Buffer[] = [];
/** Every value begins with one of these. */
const BEGINNINGS = { text: Buffer.from(randomBytes(8).toString('hex')), data: beginningOfData() };

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'keyward-secret-canary-'));
  world = await World.create({ KEYWARD_LOG_LEVEL: 'trace' });
  proxy = await startTcpProxy(world.database.url);
  service = await ServerProcess.start(proxy.url, { KEYWARD_LOG_LEVEL: 'trace' });
  calls = await WatchedCalls.open(service.port, world.adminToken);
});

afterAll(async () => {
  calls.close();
  await service.stop();
  await proxy.close();
  await world.close();
  await rm(directory, { recursive: true });
});

/** newText makes a text that is a value and nothing else. */
function newText(): string {
  const text = registerCanary(String(BEGINNINGS.text) + randomBytes(24).toString('hex'));
  values.push(Buffer.from(text));
  return text;
}

function newPayload(kind: 'text' | 'data'): SecretPayload {
  if (kind === 'text') return textOf(newText());
  const value = Buffer.concat([BEGINNINGS.data, randomBytes(39)]);
  values.push(value);
  return { value: { $case: 'data', value } };
}

/** bytesOf are the bytes of a payload, which its encoding leaves as they are. */
function bytesOf({ value }: SecretPayload): Buffer {
  return Buffer.from(existing(value).value as string);
}

function newSecret(payload: SecretPayload): RequestOf<'createSecret'> {
  return { owner: byId(world.profileOf('owner-a')), name: world.newName(), payload };
}

/** keep makes a secret through the service that is watched. */
async function keep(payload: SecretPayload, more: RequestOf<'createSecret'> = {}) {
  const peer = new Peer(service.address, { token: world.adminToken });
  const { response } = await peer.call('createSecret', { ...newSecret(payload), ...more });
  peer.close();
  return byId(existing(CreateSecretResponse.decode(response).secret));
}

/** expectUnseen fails if any value shows in any form. */
function expectUnseen(bytes: Buffer | string): void {
  expect(values.length).toBeGreaterThan(20);
  expect(tracesOfAll(values, Object.values(BEGINNINGS), Buffer.from(bytes))).toEqual([]);
}

describe('a value goes', () => {
  test('past those who watch, who are told of its secret and not of it', async () => {
    const client = connect({ server: service.address, token: world.adminToken });
    const messages = client.secrets.watchSecrets({})[Symbol.asyncIterator]();
    const told: Buffer[] = [];
    const hear = async (): Promise<WatchSecretsResponse> => {
      const { value } = (await messages.next()) as { value: WatchSecretsResponse };
      told.push(Buffer.from(WatchSecretsResponse.encode(value).finish()));
      return value;
    };
    await hear();
    for (const kind of ['text', 'data'] as const) {
      const { value: id } = (await keep(newPayload(kind))).selector;
      let events: WatchSecretsResponse['events'] = [];
      while (!events.some(({ secretId }) => secretId === id)) ({ events } = await hear());
    }
    await messages.return?.();
    client.close();
    while (values.length <= 20) newPayload('text');
    expectUnseen(Buffer.concat(told));
  });

  test('through every method, and comes out of an access alone', { timeout: 120_000 }, async () => {
    // The first calls of a process share memory with what it keeps from its start.
    for (const kind of ['text', 'data'] as const) await keep(newPayload(kind));
    for (const method of METHOD_NAMES.filter((name) => !isWatch(name))) {
      const request = await requestFor(method, world);
      if (!CARRIERS.includes(method)) expect(await calls.call(method, request), method).toBe('OK');
    }
    for (const kind of ['text', 'data'] as const) {
      const [first, second] = [newPayload(kind), newPayload(kind)];
      const secret = await keep(first);
      expect(await calls.call('addSecretVersion', { selector: secret, payload: second })).toBe('OK');
      expect(await calls.call('cloneSecret', { selector: secret, newName: world.newName() })).toBe('OK');
      expect(await calls.fetch('accessSecret', { secret })).toSatisfy(holds(second));
      const request = { requests: [{ secret, version: 1 }, { secret }] };
      expect(await calls.fetch('batchAccessSecrets', request)).toSatisfy(
        (bytes: Buffer) => holds(first)(bytes) && holds(second)(bytes),
      );
      for (const method of ['disableSecretVersion', 'enableSecretVersion', 'destroySecretVersion'] as const)
        expect(await calls.call(method, { selector: secret, version: 1 }), method).toBe('OK');
      for (const method of ['getSecret', 'listSecretVersions', 'listReferences', 'listGrants'] as const)
        expect(await calls.call(method, { secret }), method).toBe('OK');
      for (const method of ['deleteSecret', 'undeleteSecret'] as const)
        expect(await calls.call(method, { selector: secret }), method).toBe('OK');
    }
  });

  test('where it does not belong, in every field of text of every method', { timeout: 120_000 }, async () => {
    let sent = 0;
    for (const method of METHOD_NAMES) {
      const good = encodeRequest(method, await requestFor(method, world));
      const text = Buffer.from(newText());
      const bad = [0, 0xc3].map((byte) => Buffer.concat([text, Buffer.from([byte])]));
      const fields = [text, ...bad].flatMap((each) =>
        fieldsWith(requestFields(method), each).filter(
          ({ path }) => each !== text || (LOOKED_UP.test(path) && !path.startsWith('token.')),
        ),
      );
      const faults = [...fields.map(({ bytes }) => Buffer.concat([good, bytes])), text, framedIn(text)];
      for (const bytes of faults) {
        const code = await calls.callRaw(method, bytes);
        expect(code, method).not.toBe('INTERNAL');
        sent += 1;
      }
    }
    expect(sent).toBeGreaterThan(1000);
  });

  test('into calls that are refused', async () => {
    for (const kind of ['text', 'data'] as const) {
      const payload = newPayload(kind);
      const secret = await keep(payload);
      const request = newSecret(payload);
      const large = { value: { $case: 'text', value: newText().repeat(1 + LARGEST / 64) } } as const;
      const scopeless = (await world.issue('admin', { scopes: ['keyward.secrets.read'] })).plaintext;
      await world.admin.secrets.updateSecret({
        selector: secret,
        secret: { description: 'changed' },
        updateMask: ['description'],
      });
      const add = { selector: secret, payload };
      const [stranger, reader] = [world.tokenOf('staff-b'), world.tokenOf('plain-a')];
      const { name } = await world.keep('owner-a');
      expect(
        await Promise.all([
          calls.call('createSecret', { ...request, name }),
          calls.call('createSecret', { ...request, name: '' }),
          calls.call('createSecret', { ...request, payload: large }),
          calls.call('createSecret', { ...request, owner: byId({ id: 9_000_000_000n }) }),
          calls.call('createSecret', request, stranger),
          calls.call('createSecret', request, reader),
          calls.call('createSecret', request, scopeless),
          calls.call('createSecret', request, 'no token'),
          calls.call('addSecretVersion', { ...add, etag: 'stale' }),
          calls.call('addSecretVersion', { ...add, selector: byId({ id: 9_000_000_000n }) }),
          calls.call('addSecretVersion', add, stranger),
          calls.call('addSecretVersion', add, reader),
          calls.call('accessSecret', { secret, version: 9 }),
          calls.call('accessSecret', { secret }, stranger),
          calls.call('accessSecret', { secret }, reader),
          calls.call('accessSecret', { secret }, scopeless),
          calls.call('batchAccessSecrets', { requests: [{ secret }] }, stranger),
          calls.call('cloneSecret', { selector: secret, newName: world.newName() }, stranger),
          calls.call('cloneSecret', { selector: secret, newName: world.newName() }, reader),
          calls.call('cloneSecret', { selector: secret, newName: name }),
        ]),
      ).toEqual([
        'ALREADY_EXISTS',
        'INVALID_ARGUMENT',
        'INVALID_ARGUMENT',
        'NOT_FOUND',
        'NOT_FOUND',
        'PERMISSION_DENIED',
        'PERMISSION_DENIED',
        'UNAUTHENTICATED',
        'ABORTED',
        'NOT_FOUND',
        'NOT_FOUND',
        'PERMISSION_DENIED',
        'NOT_FOUND',
        'NOT_FOUND',
        'PERMISSION_DENIED',
        'PERMISSION_DENIED',
        'OK',
        'NOT_FOUND',
        'PERMISSION_DENIED',
        'ALREADY_EXISTS',
      ]);
    }
  });

  test('where it cannot be read: expired, disabled, damaged, of another place, or text that is none', async () => {
    const secrets = await Promise.all([1, 2, 3, 4, 5].map(() => keep(newPayload('text'))));
    const [expired, disabled, damaged, foreign, binary] = secrets.map(({ selector }) => selector.value);
    const set = (assignment: string, id: bigint | undefined, ...more: unknown[]) =>
      execute(world.database.url, `UPDATE ${assignment}`, [String(id), ...more]);
    await set("secrets SET expires_at = now() - interval '1 s' WHERE id = $1", expired);
    await set("secret_versions SET state = 'DISABLED' WHERE secret_id = $1", disabled);
    // The third and the fifth are bound to their places, the fourth is not.
    const cipher = 'secret_versions SET ciphertext = $2, key_id = $3, binding = $4, binding_key_id = $5';
    const replace = (id: bigint | undefined, value: StoredVersion, place: bigint | undefined) => {
      const bound = bindingColumns(testKeyring(), { secretId: existing(place), number: 1 }, value);
      const columns = [value.ciphertext, value.keyId, bound.binding, bound.binding_key_id];
      return set(`${cipher} WHERE secret_id = $1`, id, ...columns);
    };
    await replace(damaged, { ...sealed(newKey(), newText()), keyId: fernetKey(TEST_KEY).id }, damaged);
    await replace(foreign, { ...sealed(newKey(), newText()), keyId: null }, damaged);
    const bytes = randomBytes(48);
    values.push(bytes);
    await replace(binary, sealed(TEST_KEY, bytes), binary);
    const lost = 'DATA_LOSS';
    const expected = ['FAILED_PRECONDITION', 'FAILED_PRECONDITION', lost, lost, lost];
    for (const [index, secret] of secrets.entries()) {
      const codes = [
        await calls.call('accessSecret', { secret }),
        await calls.call('cloneSecret', { selector: secret, newName: world.newName() }),
      ];
      expect(codes).toEqual([expected[index], expected[index]]);
    }
    expect(await calls.call('batchAccessSecrets', { requests: secrets.map((secret) => ({ secret })) })).toBe(
      'OK',
    );
    expect(await calls.call('getRotationStatus', {})).toBe('OK');
    expect(await calls.call('rotateEncryptionKey', { dryRun: true })).toBe('OK');
  });

  test('to a database that fails', { timeout: 60_000 }, async () => {
    const secret = await keep(newPayload('text'));
    const changing = () => [
      calls.call('createSecret', newSecret(newPayload('text'))),
      calls.call('createSecret', newSecret(newPayload('data'))),
      calls.call('addSecretVersion', { selector: secret, payload: newPayload('text') }),
      calls.call('cloneSecret', { selector: secret, newName: world.newName() }),
    ];
    const reading = () => [
      calls.call('accessSecret', { secret }),
      calls.call('batchAccessSecrets', { requests: [{ secret }] }),
    ];
    const codesWithout = async (table: string, send: () => Promise<string>[]) => {
      await execute(world.database.url, `ALTER TABLE ${table} ADD CONSTRAINT refuse CHECK (false) NOT VALID`);
      const codes = await Promise.all(send());
      await execute(world.database.url, `ALTER TABLE ${table} DROP CONSTRAINT refuse`);
      return codes;
    };
    const faults = ['INTERNAL', 'INTERNAL', 'INTERNAL', 'INTERNAL'];
    expect(await codesWithout('secret_versions', changing)).toEqual(faults);
    expect(await codesWithout('audit_events', changing)).toEqual(faults);
    // A batch tells of each of its parts.
    expect(await codesWithout('audit_events', reading)).toEqual(['UNAVAILABLE', 'OK']);
    const underWay = changing();
    proxy.cut();
    await Promise.all(underWay);
    expect(new Set(await Promise.all([...changing(), ...reading()]))).toEqual(new Set(['UNAVAILABLE']));
    proxy.mend();
    expect(await calls.call('getSecret', { secret })).toBe('OK');
  });
});

describe('a value is nowhere', () => {
  test('in what came back of any call, but for accesses: no message, no header, no trailer', () => {
    const heard = calls.heard();
    expect(heard.length).toBeGreaterThan(100_000);
    expectUnseen(heard);
  });

  test('in what the service logs at level trace, of faults too', () => {
    const log = service.output() + world.server.log();
    expect(log).toContain('"level":"error"');
    expect(log).toContain('"level":"debug"');
    expectUnseen(log);
  });

  test('in any row of any table, read as text', async () => {
    expectUnseen(await readTables(world.database.url));
  });

  test('in what commands print, but for `secret access`', { timeout: 240_000 }, async () => {
    expectUnseen(await commandOutput());
  });

  test('in the memory that is in use after the calls', { timeout: 120_000 }, async () => {
    // What is in the buffers that Node shared out last is pushed out by other calls.
    for (let round = 0; round < 100; round += 1) await calls.call('listSecrets', {});
    const file = join(directory, 'heap');
    await service.dumpHeap(file);
    const heap = await readFile(file);
    for (const known of ['keyward-admin', 'keyward/secret/v1/secret.proto'])
      expect(heap.includes(known)).toBe(true);
    expectUnseen(heap);
  });
});

function holds(payload: SecretPayload): (bytes: Buffer) => boolean {
  return (bytes) => bytes.includes(bytesOf(payload));
}

/** framedIn is a text as a field whose length is wrong. */
function framedIn(text: Buffer): Buffer {
  return Buffer.concat([Buffer.from([0x0a, text.length + 9]), text]);
}

/** commandOutput runs every command that takes, could take or could show a value, and gives all that they print. */
async function commandOutput(): Promise<string> {
  const env = {
    KEYWARD_SERVER: service.address,
    KEYWARD_TOKEN: world.adminToken,
    DATABASE_URL: world.database.url,
    KEYWARD_FERNET_KEYS: TEST_KEY,
    KEYWARD_LOG_LEVEL: 'trace',
  };
  const name = world.newName();
  const { id } = await world.keep('admin');
  const create = 'keyward.secret.v1.SecretService/CreateSecret';
  const json = (payload: unknown) => JSON.stringify({ name: world.newName(), payload });
  const out = join(directory, 'out');
  const commands: readonly (readonly [string[], string?, Record<string, string>?])[] = [
    [['secret', 'set', name], newText()],
    [['secret', 'set', name, '--json'], `${newText()}\n`],
    [['secret', 'set', name, newText()]],
    [['secret', 'set', name], newText().repeat(1 + LARGEST / 64)],
    [['secret', 'set', `${newText()}\t`], newText()],
    [['secret', 'set', name], newText(), { KEYWARD_SERVER: '127.0.0.1:1' }],
    [['secret', 'set', name], newText(), { KEYWARD_TOKEN: 'no token' }],
    [['secret', 'rotate', name, '--disable-old'], newText()],
    [['secret', 'rotate', world.newName()], newText()],
    [['secret', 'access', name, '--out', out]],
    [['secret', 'access', name, '1']],
    [['secret', 'list']],
    [['secret', 'list', '--json']],
    [['secret', 'get', name, '--json']],
    [['secret', 'versions', name]],
    [['secret', 'refs', name]],
    [['secret', 'grants', name]],
    [['secret', 'delete', name]],
    [['secret', 'undelete', String(id)]],
    [['keys', 'rotate']],
    [['keys', 'status']],
    [['audit', 'verify']],
    [['call', create, '-'], json({ text: newText() })],
    [['call', create, '-'], json({ text: [newText()] })],
    [['call', create, '-'], json({ data: `${newText()}!` })],
    [['call', create, '-'], json(newText())],
    [['call', create, '-'], newText()],
  ];
  let output = '';
  for (const [args, input = '', own = {}] of commands) {
    const { stdout, stderr } = await runKeyward(args, { env: { ...env, ...own }, input });
    output += `${args.slice(0, 2).join(' ')}: ${stdout}${stderr}`;
  }
  expect(values.map(String)).toContain(await readFile(out, 'utf8'));
  return output;
}
