import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  ManifestOutcome,
  VerdictReason,
  type AppliedDocument,
  type KeywardClient,
} from '../../../src/client/index.js';
import { openDatabase } from '../../../src/db/knex.js';
import { verify } from '../../support/audit.js';
import { registerCanary } from '../../support/canaries.js';
import { byId } from '../../support/requests.js';
import type { RequestOf } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { existing, newValue, textOf, World, type Member } from '../../support/world.js';

const [CREATED, UPDATED, UNCHANGED] = [
  ManifestOutcome.MANIFEST_OUTCOME_CREATED,
  ManifestOutcome.MANIFEST_OUTCOME_UPDATED,
  ManifestOutcome.MANIFEST_OUTCOME_UNCHANGED,
];

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

interface Parts {
  readonly kind: string;
  readonly metadata?: object;
  readonly spec?: object;
  readonly status?: object;
}

/** textOfAll is a manifest of documents. */
function textOfAll(...documents: readonly Parts[]): string {
  return JSON.stringify(documents.map((document) => ({ apiVersion: 'keyward/v1', ...document })));
}

function ownerOf(member: Member | 'admin') {
  const { username, accountNumber } = world.profileOf(member);
  return { username, accountNumber };
}

function keyOf(member: Member | 'admin', name: string, spec: object = {}, metadata: object = {}): Parts {
  return { kind: 'ApiKey', metadata: { name, ...metadata }, spec: { owner: ownerOf(member), ...spec } };
}

function secretOf(member: Member | 'admin', name: string, spec: object = {}): Parts {
  return { kind: 'Secret', metadata: { name }, spec: { owner: ownerOf(member), ...spec } };
}

async function apply(
  manifest: string,
  more: RequestOf<'applyManifest'> = {},
  client: KeywardClient = world.admin,
): Promise<AppliedDocument[]> {
  const { documents } = await client.manifests.applyManifest({ manifest, ...more });
  for (const { plaintext } of documents) if (plaintext !== '') registerCanary(plaintext);
  return documents;
}

const VALUE = { valueFrom: { env: 'X' } };
const valued = (value: string, document = 0) => ({ secretValues: [{ document, payload: textOf(value) }] });

/** readState changes with every row that is written, records of changes among them, and with every revision. */
async function readState(): Promise<unknown> {
  const parts = ['accounts', 'users', 'user_profiles', 'tokens', 'secrets'].map(
    (table) => `(SELECT (count(*), sum(row_version))::text FROM ${table}) AS ${table}`,
  );
  const counts = ['token_digests', 'secret_versions', 'change_feed'].map(
    (table) => `(SELECT count(*) FROM ${table}) AS ${table}`,
  );
  const records = `(SELECT count(*) FROM audit_events WHERE action <> 'SECRET_ACCESSED') AS records`;
  return execute(world.database.url, `SELECT ${[...parts, ...counts, records].join(', ')}`);
}

async function actionsOn(kind: string, id: bigint): Promise<unknown[]> {
  const rows = await execute(
    world.database.url,
    `SELECT action FROM audit_events WHERE resource_kind = '${kind}' AND resource_id = ${id} ORDER BY id`,
  );
  return rows.map(({ action }) => action);
}

async function reasonOf(plaintext: string): Promise<VerdictReason> {
  return (await world.admin.tokens.validateToken({ token: plaintext })).reason;
}

async function failure(call: Promise<unknown>): Promise<{ codeName: string; reason: string }> {
  return call.then(
    () => Promise.reject(new Error('it did not fail')),
    (error: unknown) => error as { codeName: string; reason: string },
  );
}

describe('a manifest makes what is not there', () => {
  test('an account, a user, their profile, a token and a secret, all in one text, each recorded', async () => {
    const [accountNumber, username] = ['4000-0000-0001', world.newName()];
    const owner = { username, accountNumber };
    const text = textOfAll(
      {
        kind: 'Account',
        metadata: { name: 'Shop', tags: ['a'] },
        spec: { accountNumber, companyName: 'Shop Ltd' },
      },
      { kind: 'User', metadata: { name: username }, spec: { email: 'a@b.c', isStaff: true } },
      { kind: 'UserProfile', spec: owner },
      {
        kind: 'ApiKey',
        metadata: { name: 'checkout', annotations: { 'example.org/a': 'b' } },
        spec: { owner, scopes: ['orders:read'], prefix: 'shop_', expiresAt: '2100-01-31T12:00:00.5Z' },
      },
      { kind: 'Secret', metadata: { name: 'db' }, spec: { owner, ...VALUE } },
    );
    const value = newValue();
    const made = await apply(text, valued(value, 4));
    expect(made.map(({ kind, name, outcome }) => [kind, name, outcome])).toEqual([
      ['Account', 'Shop', CREATED],
      ['User', username, CREATED],
      ['UserProfile', username, CREATED],
      ['ApiKey', 'checkout', CREATED],
      ['Secret', 'db', CREATED],
    ]);
    const [account, , , key, secret] = made.map(existing);
    expect(existing(key).plaintext).toMatch(/^shop_[0-9a-f]{64}$/);
    expect(await reasonOf(existing(key).plaintext)).toBe(VerdictReason.VERDICT_REASON_OK);
    const { token } = await world.admin.tokens.getToken({ token: byId(existing(key)) });
    expect(token).toMatchObject({
      scopes: ['orders:read'],
      expiresAt: { nanos: 500_000_000 },
      annotations: new Map([['example.org/a', 'b']]),
      etag: existing(key).etag,
      recordLocator: existing(key).recordLocator,
    });
    const accessed = await world.admin.secrets.accessSecret({ secret: byId(existing(secret)) });
    expect(accessed.payload).toEqual(textOf(value));
    expect(await actionsOn('account', existing(account).id)).toEqual(['ACCOUNT_CREATED']);
    expect(await actionsOn('token', existing(key).id)).toEqual(['TOKEN_CREATED']);
  });

  test('a token of the caller where no owner is told', async () => {
    const name = world.newName();
    await apply(textOfAll({ kind: 'ApiKey', metadata: { name } }), {}, world.as('staff-a'));
    const listed = await world.admin.tokens.listTokens({ filter: `name = "${name}"` });
    expect(listed.tokens.map(({ owner }) => owner?.username)).toEqual(['staff-a']);
  });

  test('all of it or nothing: what one document is refused, no other has done', async () => {
    const before = await readState();
    const text = textOfAll(
      keyOf('owner-a', world.newName()),
      { kind: 'User', metadata: { name: world.newName() } },
      keyOf('plain-a', world.newName()),
    );
    expect(await failure(apply(text))).toMatchObject({ reason: 'OWNER_NOT_STAFF' });
    expect(await readState()).toEqual(before);
  });
});

describe('a manifest changes what is there', () => {
  test('and what it leaves out stays as it is', async () => {
    const { id, name, plaintext } = await world.issue('owner-a', { description: 'kept', scopes: ['a', 'b'] });
    const [changed] = await apply(
      textOfAll(keyOf('owner-a', name, { scopes: ['a'], isActive: false }, { tags: ['t'] })),
    );
    expect(changed).toMatchObject({
      outcome: UPDATED,
      id,
      plaintext: '',
      changes: [
        { field: 'metadata.tags', before: '[]', after: '["t"]' },
        { field: 'spec.scopes', before: '["a","b"]', after: '["a"]' },
        { field: 'spec.isActive', before: 'true', after: 'false' },
      ],
    });
    const { token } = await world.admin.tokens.getToken({ token: byId({ id }) });
    expect(token).toMatchObject({ description: 'kept', scopes: ['a'], tags: ['t'], isActive: false });
    expect(token?.etag).toBe(changed?.etag);
    expect(await reasonOf(plaintext)).toBe(VerdictReason.VERDICT_REASON_INACTIVE);
    expect(await actionsOn('token', id)).toEqual(['TOKEN_CREATED', 'TOKEN_EDITED', 'TOKEN_DEACTIVATED']);
  });

  test('only in the fields of the update mask; one that it names and the document leaves out is as new', async () => {
    const { id, name } = await world.issue('owner-a', {
      description: 'goes',
      scopes: ['a'],
      tags: ['stays'],
    });
    const text = textOfAll(keyOf('owner-a', name, { scopes: ['b'] }, { tags: ['not this'] }));
    const updateMask = ['spec.scopes', 'metadata.description'];
    const [changed] = await apply(text, { updateMask });
    expect(changed?.changes.map(({ field }) => field)).toEqual(['metadata.description', 'spec.scopes']);
    const { token } = await world.admin.tokens.getToken({ token: byId({ id }) });
    expect(token).toMatchObject({ description: '', scopes: ['b'], tags: ['stays'] });
  });

  test('twice is once: the second time there is no change, no record, no revision, and the etag is the same', async () => {
    const [name, username, accountNumber] = [world.newName(), world.newName(), '4000-0000-0002'];
    const text = textOfAll(
      { kind: 'Account', metadata: { name: 'Twice' }, spec: { accountNumber } },
      { kind: 'User', metadata: { name: username }, spec: { lastName: 'Twice' } },
      { kind: 'UserProfile', metadata: { description: 'twice' }, spec: { username, accountNumber } },
      keyOf('owner-a', name, { scopes: ['a', 'b'], expiresAt: '2100-01-01T00:00:00+01:00' }),
      secretOf('owner-a', name, VALUE),
    );
    const values = valued(newValue(), 4);
    const first = await apply(text, values);
    const before = await readState();
    const response = await world.admin.manifests.applyManifest({ manifest: text, ...values });
    expect(response.documents).toEqual(
      first.map((document) => ({ ...document, outcome: UNCHANGED, changes: [], plaintext: '' })),
    );
    expect(response.propagation).toBeUndefined();
    expect(await readState()).toEqual(before);
  });

  test('a user who gains has the tokens switched off that others know, and it is told how many', async () => {
    const { profile, plaintext } = await world.issueTo({ isStaff: true });
    const text = textOfAll({
      kind: 'User',
      metadata: { name: profile.username },
      spec: { isSuperuser: true },
    });
    const [changed] = await apply(text);
    expect(changed).toMatchObject({ outcome: UPDATED, deactivatedCount: 1n });
    expect(await reasonOf(plaintext)).toBe(VerdictReason.VERDICT_REASON_INACTIVE);
  });

  test('an expired token whose document says so is not changed, and another expiry must lie ahead', async () => {
    const { name } = await world.issue('owner-a', {
      expiry: { $case: 'ttl', value: { seconds: 60n, nanos: 0 } },
    });
    const { manifest } = await world.admin.manifests.getManifest({
      resource: { $case: 'token', value: named('owner-a', name) },
    });
    world.clock.advance(60_001);
    expect((await apply(manifest))[0]?.outcome).toBe(UNCHANGED);
    const past = await failure(
      apply(textOfAll(keyOf('owner-a', name, { expiresAt: '2020-01-01T00:00:00Z' }))),
    );
    expect(past).toMatchObject({
      violations: [
        {
          field: 'document[0].spec.expiresAt',
          rule: expect.stringMatching(/future.*\(line 1, column \d+\)/) as string,
        },
      ],
    });
  });

  test('the prefix of a token is as it was made', async () => {
    const { name } = await world.issue('owner-a', { prefix: 'old_' });
    expect(await failure(apply(textOfAll(keyOf('owner-a', name, { prefix: 'new_' }))))).toMatchObject({
      violations: [{ field: 'document[0].spec.prefix' }],
    });
  });
});

function named(member: Member | 'admin', name: string) {
  const owner = { selector: { $case: 'membership', value: ownerOf(member) } } as const;
  return {
    selector: { $case: 'ownedName', value: { owner: { $case: 'userProfile', value: owner }, name } },
  } as const;
}

describe("a secret's value", () => {
  test('comes beside the manifest: another one is a new version, the same one none', async () => {
    const { id, name, value } = await world.keep('owner-a');
    const text = textOfAll(secretOf('owner-a', name, VALUE));
    expect((await apply(text, valued(value)))[0]?.outcome).toBe(UNCHANGED);
    const next = newValue();
    const [changed] = await apply(text, valued(next));
    expect(changed).toMatchObject({
      outcome: UPDATED,
      changes: [{ field: 'spec.valueFrom', before: '', after: '' }],
    });
    const { payload, version } = await world.admin.secrets.accessSecret({ secret: byId({ id }) });
    expect({ payload, version }).toEqual({ payload: textOf(next), version: 2 });
  });

  test('is not told to those who may not have it, not even by whether it is the same', async () => {
    const { name, value } = await world.keep('owner-a');
    const scopes = ['keyward.secrets.read', 'keyward.secrets.write'];
    const writer = world.client((await world.issue('owner-a', { scopes })).plaintext);
    const text = textOfAll(secretOf('owner-a', name, VALUE));
    for (const dryRun of [false, true]) {
      for (const guess of [value, newValue()]) {
        const refused = await failure(apply(text, { ...valued(guess), dryRun }, writer));
        expect(refused).toMatchObject({ codeName: 'PERMISSION_DENIED', reason: 'SCOPE_MISSING' });
      }
    }
    const made = await apply(
      textOfAll(secretOf('owner-a', world.newName(), VALUE)),
      valued(newValue()),
      writer,
    );
    expect(made[0]?.outcome).toBe(CREATED);
  });

  test('that is compared is an access, which is recorded', async () => {
    const { id, name, value } = await world.keep('owner-a');
    await apply(textOfAll(secretOf('owner-a', name, VALUE)), valued(value));
    expect(await actionsOn('secret', id)).toContain('SECRET_ACCESSED');
  });

  test('must be given to a secret that is not there, for a document that asks for it', async () => {
    const text = textOfAll(secretOf('owner-a', world.newName()));
    expect(await failure(apply(text))).toMatchObject({
      violations: [{ field: 'document[0].spec.valueFrom' }],
    });
    expect(
      await failure(apply(textOfAll(secretOf('owner-a', world.newName(), { value: 'x' })))),
    ).toMatchObject({
      violations: [{ field: 'document[0].spec.value' }],
    });
  });
});

describe('a dry run', () => {
  test('tells what would be done, makes no token pass, and writes nothing, records and revisions among it', async () => {
    const { name } = await world.issue('owner-a', { scopes: ['a'] });
    const secret = await world.keep('owner-a');
    const before = await readState();
    const text = textOfAll(
      keyOf('owner-a', name, { scopes: ['b'] }),
      keyOf('owner-a', world.newName()),
      secretOf('owner-a', secret.name, VALUE),
    );
    const told = await apply(text, { ...valued(newValue(), 2), dryRun: true });
    expect(told.map(({ outcome, plaintext, etag }) => ({ outcome, plaintext, etag }))).toEqual(
      [UPDATED, CREATED, UPDATED].map((outcome) => ({ outcome, plaintext: '', etag: '' })),
    );
    expect(told[1]).toMatchObject({ id: 0n, recordLocator: '' });
    expect(await readState()).toEqual(before);
  });

  test('fails as applying would', async () => {
    const text = textOfAll(keyOf('plain-a', world.newName()));
    expect(await failure(apply(text, { dryRun: true }))).toMatchObject({ reason: 'OWNER_NOT_STAFF' });
  });

  test('leaves the log of changes whole', async () => {
    await apply(textOfAll(keyOf('owner-a', world.newName())), { dryRun: true });
    await apply(textOfAll(keyOf('owner-a', world.newName())));
    const knex = openDatabase({ url: world.database.url, poolSize: 1, connectTimeoutMs: 10_000 });
    expect(await verify(knex)).toMatchObject({ isIntact: true });
    await knex.destroy();
  });
});

describe('nobody gains by a manifest what they were not given', () => {
  test('a document needs both scopes of its kind', async () => {
    const kinds: [string, Parts, string][] = [
      ['tokens', keyOf('admin', 'x'), ''],
      ['secrets', secretOf('admin', 'x', VALUE), ''],
      ['accounts', { kind: 'User', metadata: { name: 'x' } }, ''],
    ];
    for (const [family, document] of kinds) {
      for (const scope of ['read', 'write']) {
        const all = ['tokens', 'secrets', 'accounts'].flatMap((each) => [
          `keyward.${each}.read`,
          `keyward.${each}.write`,
        ]);
        const scopes = all.filter((each) => each !== `keyward.${family}.${scope}`);
        const client = world.client((await world.issue('admin', { scopes })).plaintext);
        const more = family === 'secrets' ? valued('x') : {};
        expect(await failure(apply(textOfAll(document), more, client))).toMatchObject({
          reason: 'SCOPE_MISSING',
          metadata: new Map([['required_scope', `keyward.${family}.${scope}`]]),
        });
      }
    }
  });

  test('others than superusers change no accounts, and nobody what is not theirs to manage', async () => {
    const { name } = await world.issue('owner-a');
    const secret = await world.keep('owner-a');
    const user = { kind: 'User', metadata: { name: 'staff-a' }, spec: { isSuperuser: true } };
    expect(await failure(apply(textOfAll(user), {}, world.as('staff-a')))).toMatchObject({
      reason: 'NOT_PERMITTED',
    });
    const key = textOfAll(keyOf('owner-a', name, { isActive: false }));
    expect(await failure(apply(key, {}, world.as('plain-a')))).toMatchObject({ reason: 'NOT_PERMITTED' });
    expect(await failure(apply(key, {}, world.as('staff-b')))).toMatchObject({ reason: 'NOT_FOUND' });
    const text = textOfAll(secretOf('owner-a', secret.name, VALUE));
    expect(await failure(apply(text, valued(secret.value), world.as('plain-a')))).toMatchObject({
      reason: 'NOT_PERMITTED',
    });
    expect(await failure(apply(text, valued('x'), world.as('staff-b')))).toMatchObject({
      reason: 'NOT_FOUND',
    });
  });

  test('a token gains no scope that the caller has not', async () => {
    const { name } = await world.issue('owner-a', { scopes: ['a'] });
    const scopes = ['keyward.tokens.read', 'keyward.tokens.write'];
    const client = world.client((await world.issue('owner-a', { scopes })).plaintext);
    const gained = textOfAll(keyOf('owner-a', name, { scopes: ['a', 'b'] }));
    expect(await failure(apply(gained, {}, client))).toMatchObject({ reason: 'SCOPE_NOT_HELD' });
  });
});

describe('what breaks rules', () => {
  test('is told all at once, with path, line and column, and nothing is written', async () => {
    const before = await readState();
    const text = `
apiVersion: keyward/v1
kind: ApiKey
metadata:
  name: good
spec: {scopes: [ok, "NOT OK"], scope: [x]}
---
apiVersion: smarter.sh/v1
kind: Secret
metadata:
  name: -bad
  version: 1.10
  tags: [a, a]
  annotations: [{a: b}]
---
kind: Widget
---
apiVersion: keyward/v1
kind: User
metadata: {name: x, tags: [a]}
spec: {isStaff: yes, email: null}
`;
    const { violations } = (await failure(apply(text))) as unknown as {
      violations: { field: string; rule: string }[];
    };
    expect(violations.map(({ field }) => field)).toEqual([
      'document[0].spec.scope',
      'document[1].apiVersion',
      'document[1].metadata.version',
      'document[1].metadata.annotations',
      'document[2].apiVersion',
      'document[2].kind',
      'document[3].metadata.tags',
      'document[3].spec.isStaff',
    ]);
    for (const { rule } of violations) expect(rule).toMatch(/\(line \d+, column \d+\)$/);
    expect(violations[0]?.rule).toMatch(/^is not known; .* \(line 6, column 39\)$/);
    const values = textOfAll(
      keyOf('owner-a', '-bad', { scopes: ['ok', 'NOT OK'] }),
      keyOf('owner-a', 'x', { scopes: [] }),
    );
    expect(await failure(apply(values))).toMatchObject({
      violations: [
        { field: 'document[0].metadata.name' },
        { field: 'document[0].spec.scopes[1]' },
        { field: 'document[1].spec.scopes' },
      ],
    });
    expect(await readState()).toEqual(before);
  });

  test('is two documents about one resource', async () => {
    const text = textOfAll(keyOf('owner-a', 'twice'), keyOf('owner-a', 'twice'));
    expect(await failure(apply(text))).toMatchObject({ violations: [{ field: 'document[1]' }] });
  });

  test('is a value for what takes none', async () => {
    const text = textOfAll(keyOf('owner-a', world.newName()));
    expect(await failure(apply(text, valued('x')))).toMatchObject({
      violations: [{ field: 'secret_values[0].document' }],
    });
  });
});
