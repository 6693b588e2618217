import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { brokenTexts, requestFields } from '../../support/descriptors.js';
import { requestFor } from '../../support/requests.js';
import {
  encodeRequest,
  METHOD_NAMES,
  Peer,
  type MethodName,
  type Outcome,
  type RequestOf,
} from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { World } from '../../support/world.js';
import { BAD_REQUESTS, FREE_FIELDS } from './bad-requests.js';
import { SECRET } from './bad-values.js';

let world: World;
let superuser: Peer;

beforeAll(async () => {
  world = await World.create({ KEYWARD_LOG_LEVEL: 'trace' });
  superuser = new Peer(world.server.address, { token: world.adminToken });
});

afterAll(async () => {
  expect(world.server.log()).not.toContain(SECRET);
  superuser.close();
  await world.close();
});

/** readState changes with every row that is written. */
async function readState(): Promise<unknown> {
  const tables = ['accounts', 'users', 'user_profiles', 'tokens', 'secrets'];
  const counted = ['token_digests', 'secret_versions', 'secret_references', 'secret_grants'];
  const parts = tables.map(
    (table) => `(SELECT (count(*), sum(row_version), max(id))::text FROM ${table}) AS ${table}`,
  );
  const counts = counted.map((table) => `(SELECT count(*) FROM ${table}) AS ${table}`);
  return execute(world.database.url, `SELECT ${[...parts, ...counts].join(', ')}`);
}

function expectSecretHidden({ message, trailers }: Outcome): void {
  expect(message).not.toContain(SECRET);
  expect(trailers).not.toContain(Buffer.from(SECRET).toString('hex'));
}

function changed(request: object, change: object): RequestOf<MethodName> {
  return { ...request, ...change };
}

describe.each(METHOD_NAMES)('%s', (method) => {
  const cases = BAD_REQUESTS[method] as readonly (readonly [string, RequestOf<MethodName>])[];

  test('every field has a case for its rules', () => {
    const covered = new Set(cases.map(([field]) => field.split(/[.[]/)[0]));
    if (method === 'validateToken' || method === 'streamValidateTokens') covered.add('token'); // Any text is allowed.
    const fields = requestFields(method).map(({ name }) => name);
    expect(fields.filter((field) => !covered.has(field) && !FREE_FIELDS.has(field))).toEqual([]);
  });

  test('each broken rule is INVALID_ARGUMENT, names exactly its field, quotes nothing and writes nothing', async () => {
    const good = await requestFor(method, world);
    const before = await readState();
    const outcomes = await Promise.all(
      cases.map(async ([field, change]) => {
        const outcome = await superuser.call(method, changed(good, change));
        expectSecretHidden(outcome);
        const { code, reason, violations } = outcome;
        return {
          code,
          reason,
          fields: [...new Set(violations.map((violation) => violation.field))],
          case: field,
        };
      }),
    );
    expect(outcomes).toEqual(
      cases.map(([field]) => ({
        code: 'INVALID_ARGUMENT',
        reason: 'INVALID_FIELDS',
        fields: [field],
        case: field,
      })),
    );
    expect(await readState()).toEqual(before);
  });

  test('all broken rules of a request are told at once', async () => {
    const byKey = new Map<string, readonly [string, RequestOf<MethodName>]>();
    for (const entry of cases) {
      const keys = Object.keys(entry[1]);
      if (!keys.some((key) => byKey.has(key))) for (const key of keys) byKey.set(key, entry);
    }
    const chosen = [...new Set(byKey.values())];
    const changes = Object.assign({}, ...chosen.map(([, change]) => change)) as RequestOf<MethodName>;
    const good = await requestFor(method, world);
    const outcome = await superuser.call(method, changed(good, changes));
    const told = new Set(outcome.violations.map(({ field }) => field));
    expect([...told].sort()).toEqual(chosen.map(([field]) => field).sort());
  });

  test('bytes that are no such message are MALFORMED_REQUEST', async () => {
    for (const bytes of [Buffer.from([0x0a, 0x05, 0x61]), Buffer.from([0x0f]), Buffer.alloc(11, 0xff)]) {
      expect(await superuser.callRaw(method, bytes)).toMatchObject({
        code: 'INVALID_ARGUMENT',
        reason: 'MALFORMED_REQUEST',
      });
    }
  });

  test('text that is not UTF-8 is MALFORMED_REQUEST, in every field of text', async () => {
    const good = encodeRequest(method, await requestFor(method, world));
    const before = await readState();
    for (const { path, bytes } of brokenTexts(requestFields(method))) {
      const outcome = await superuser.callRaw(method, Buffer.concat([good, bytes]));
      expect({ path, reason: outcome.reason }).toEqual({ path, reason: 'MALFORMED_REQUEST' });
    }
    expect(await readState()).toEqual(before);
  });
});

test('what holds many broken rules is refused with those that fit into the headers', async () => {
  const tags = Array.from({ length: 64 }, () => `${SECRET}\0`);
  const annotations = new Map(tags.map((_, index) => [`${index}\0`, '\0']));
  const outcome = await superuser.call('createToken', { name: '', tags, annotations, scopes: tags });
  expect(outcome).toMatchObject({ code: 'INVALID_ARGUMENT', reason: 'INVALID_FIELDS' });
  expect(outcome.violations.length).toBeGreaterThan(10);
  expect(outcome.trailers.length).toBeLessThan(16_000);
  expectSecretHidden(outcome);
});
