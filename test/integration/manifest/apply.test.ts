import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VerdictReason } from '../../../src/client/index.js';
import { openDatabase } from '../../../src/db/knex.js';
import { verify } from '../../support/audit.js';
import {
  CREATED,
  ManifestApi,
  textOfAll,
  UNCHANGED,
  UPDATED,
  VALUE,
  valued,
} from '../../support/manifest-api.js';
import { byId } from '../../support/requests.js';
import { existing, newValue, textOf, World, type Member } from '../../support/world.js';

let world: World;
let api: ManifestApi;

beforeAll(async () => {
  world = await World.create();
  api = new ManifestApi(world);
});

afterAll(() => world.close());

async function reasonOf(plaintext: string): Promise<VerdictReason> {
  return (await world.admin.tokens.validateToken({ token: plaintext })).reason;
}

function named(member: Member | 'admin', name: string) {
  const owner = { selector: { $case: 'membership', value: api.ownerOf(member) } } as const;
  return {
    selector: { $case: 'ownedName', value: { owner: { $case: 'userProfile', value: owner }, name } },
  } as const;
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
    const made = await api.apply(text, valued(value, 4));
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
    expect(await api.actionsOn('account', existing(account).id)).toEqual(['ACCOUNT_CREATED']);
    expect(await api.actionsOn('token', existing(key).id)).toEqual(['TOKEN_CREATED']);
  });

  test('a token of the caller where no owner is told', async () => {
    const name = world.newName();
    await api.apply(textOfAll({ kind: 'ApiKey', metadata: { name } }), {}, world.as('staff-a'));
    const listed = await world.admin.tokens.listTokens({ filter: `name = "${name}"` });
    expect(listed.tokens.map(({ owner }) => owner?.username)).toEqual(['staff-a']);
  });

  test('all of it or nothing: what one document is refused, no other has done', async () => {
    const before = await api.state();
    const text = textOfAll(
      api.keyOf('owner-a', world.newName()),
      { kind: 'User', metadata: { name: world.newName() } },
      api.keyOf('plain-a', world.newName()),
    );
    expect(await api.refused(text)).toMatchObject({ reason: 'OWNER_NOT_STAFF' });
    expect(await api.state()).toEqual(before);
  });
});

describe('a manifest changes what is there', () => {
  test('and what it leaves out stays as it is', async () => {
    const { id, name, plaintext } = await world.issue('owner-a', { description: 'kept', scopes: ['a', 'b'] });
    // It is remembered from here on.
    expect(await reasonOf(plaintext)).toBe(VerdictReason.VERDICT_REASON_OK);
    const [changed] = await api.apply(
      textOfAll(api.keyOf('owner-a', name, { scopes: ['a'], isActive: false }, { tags: ['t'] })),
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
    expect(await api.actionsOn('token', id)).toEqual(['TOKEN_CREATED', 'TOKEN_EDITED', 'TOKEN_DEACTIVATED']);
  });

  test('only in the fields of the update mask; one that it names and the document leaves out is as new', async () => {
    const { id, name } = await world.issue('owner-a', {
      description: 'goes',
      scopes: ['a'],
      tags: ['stays'],
    });
    const text = textOfAll(api.keyOf('owner-a', name, { scopes: ['b'] }, { tags: ['not this'] }));
    const updateMask = ['spec.scopes', 'metadata.description'];
    const [changed] = await api.apply(text, { updateMask });
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
      api.keyOf('owner-a', name, { scopes: ['a', 'b'], expiresAt: '2100-01-01T00:00:00+01:00' }),
      api.secretOf('owner-a', name, VALUE),
    );
    const values = valued(newValue(), 4);
    const first = await api.apply(text, values);
    const before = await api.state();
    const response = await world.admin.manifests.applyManifest({ manifest: text, ...values });
    expect(response.documents).toEqual(
      first.map((document) => ({ ...document, outcome: UNCHANGED, changes: [], plaintext: '' })),
    );
    expect(response.propagation).toBeUndefined();
    expect(await api.state()).toEqual(before);
  });

  test('a user who gains has the tokens switched off that others know, and it is told how many', async () => {
    const { profile, plaintext } = await world.issueTo({ isStaff: true });
    const text = textOfAll({
      kind: 'User',
      metadata: { name: profile.username },
      spec: { isSuperuser: true },
    });
    const [changed] = await api.apply(text);
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
    expect((await api.apply(manifest))[0]?.outcome).toBe(UNCHANGED);
    const past = await api.refused(
      textOfAll(api.keyOf('owner-a', name, { expiresAt: '2020-01-01T00:00:00Z' })),
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
    expect(await api.refused(textOfAll(api.keyOf('owner-a', name, { prefix: 'new_' })))).toMatchObject({
      violations: [{ field: 'document[0].spec.prefix' }],
    });
  });
});

describe("a secret's value", () => {
  test('comes beside the manifest: another one is a new version, the same one none', async () => {
    const { id, name, value } = await world.keep('owner-a');
    const text = textOfAll(api.secretOf('owner-a', name, VALUE));
    expect((await api.apply(text, valued(value)))[0]?.outcome).toBe(UNCHANGED);
    const next = newValue();
    const [changed] = await api.apply(text, valued(next));
    expect(changed).toMatchObject({
      outcome: UPDATED,
      changes: [{ field: 'spec.valueFrom', before: '', after: '' }],
    });
    const { payload, version } = await world.admin.secrets.accessSecret({ secret: byId({ id }) });
    expect({ payload, version }).toEqual({ payload: textOf(next), version: 2 });
  });

  test('that is compared is an access, which is recorded', async () => {
    const { id, name, value } = await world.keep('owner-a');
    await api.apply(textOfAll(api.secretOf('owner-a', name, VALUE)), valued(value));
    expect(await api.actionsOn('secret', id)).toContain('SECRET_ACCESSED');
  });

  test('must be given to a secret that is not there, for a document that asks for it', async () => {
    const text = textOfAll(api.secretOf('owner-a', world.newName()));
    expect(await api.refused(text)).toMatchObject({
      violations: [{ field: 'document[0].spec.valueFrom' }],
    });
    expect(
      await api.refused(textOfAll(api.secretOf('owner-a', world.newName(), { value: 'x' }))),
    ).toMatchObject({
      violations: [{ field: 'document[0].spec.value' }],
    });
  });
});

describe('a dry run', () => {
  test('tells what would be done, makes no token pass, and writes nothing, records and revisions among it', async () => {
    const { name } = await world.issue('owner-a', { scopes: ['a'] });
    const secret = await world.keep('owner-a');
    const before = await api.state();
    const text = textOfAll(
      api.keyOf('owner-a', name, { scopes: ['b'] }),
      api.keyOf('owner-a', world.newName()),
      api.secretOf('owner-a', secret.name, VALUE),
    );
    const told = await api.apply(text, { ...valued(newValue(), 2), dryRun: true });
    expect(told.map(({ outcome, plaintext, etag }) => ({ outcome, plaintext, etag }))).toEqual(
      [UPDATED, CREATED, UPDATED].map((outcome) => ({ outcome, plaintext: '', etag: '' })),
    );
    expect(told[1]).toMatchObject({ id: 0n, recordLocator: '' });
    expect(await api.state()).toEqual(before);
  });

  test('fails as applying would', async () => {
    const text = textOfAll(api.keyOf('plain-a', world.newName()));
    expect(await api.refused(text, { dryRun: true })).toMatchObject({ reason: 'OWNER_NOT_STAFF' });
  });

  test('leaves the log of changes whole', async () => {
    await api.apply(textOfAll(api.keyOf('owner-a', world.newName())), { dryRun: true });
    await api.apply(textOfAll(api.keyOf('owner-a', world.newName())));
    const knex = openDatabase({ url: world.database.url, poolSize: 1, connectTimeoutMs: 10_000 });
    expect(await verify(knex)).toMatchObject({ isIntact: true });
    await knex.destroy();
  });
});

describe('what breaks rules', () => {
  test('is told all at once, with path, line and column, and nothing is written', async () => {
    const before = await api.state();
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
  name: ' bad'
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
    const { violations } = (await api.refused(text)) as unknown as {
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
      api.keyOf('owner-a', 'bad\u200b', { scopes: ['ok', 'NOT OK'] }),
      api.keyOf('owner-a', 'x', { scopes: [] }),
    );
    expect(await api.refused(values)).toMatchObject({
      violations: [
        { field: 'document[0].metadata.name' },
        { field: 'document[0].spec.scopes[1]' },
        { field: 'document[1].spec.scopes' },
      ],
    });
    expect(await api.state()).toEqual(before);
  });

  test('is two documents about one resource', async () => {
    const text = textOfAll(api.keyOf('owner-a', 'twice'), api.keyOf('owner-a', 'twice'));
    expect(await api.refused(text)).toMatchObject({ violations: [{ field: 'document[1]' }] });
  });

  test('is a value for what takes none', async () => {
    const text = textOfAll(api.keyOf('owner-a', world.newName()));
    expect(await api.refused(text, valued('x'))).toMatchObject({
      violations: [{ field: 'secret_values[0].document' }],
    });
  });
});
