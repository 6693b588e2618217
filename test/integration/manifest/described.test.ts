import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { ManifestFormat, ManifestOutcome, type GetManifestRequest } from '../../../src/client/index.js';
import { Violations } from '../../../src/lib/violations.js';
import { readManifest } from '../../../src/manifest/manifest-reader.js';
import { writeManifest } from '../../../src/manifest/manifest-writer.js';
import { byId } from '../../support/requests.js';
import { execute } from '../../support/sql.js';
import { ACCOUNT_A, existing, newValue, textOf, World } from '../../support/world.js';

type Resource = NonNullable<GetManifestRequest['resource']>;

const UNCHANGED = ManifestOutcome.MANIFEST_OUTCOME_UNCHANGED;
const CREATED = ManifestOutcome.MANIFEST_OUTCOME_CREATED;
const FORMATS = [ManifestFormat.MANIFEST_FORMAT_YAML, ManifestFormat.MANIFEST_FORMAT_JSON] as const;

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

async function describedAs(resource: Resource, format: ManifestFormat = FORMATS[0]): Promise<string> {
  return (await world.admin.manifests.getManifest({ resource, format })).manifest;
}

async function outcomes(manifest: string): Promise<ManifestOutcome[]> {
  const { documents } = await world.admin.manifests.applyManifest({ manifest });
  return documents.map(({ outcome }) => outcome);
}

/** resources has one of each kind with everything, among which are texts that are no plain YAML. */
async function resources(): Promise<Resource[]> {
  const odd = {
    description: 'yes\n\ttab \u007f \u2028 \u{202e} "quoted" # no comment\n',
    tags: ['yes', '010', '1:30', 'null', '- x', 'a: b', '🔑', ' padded '],
    annotations: new Map([
      ['<<', '*a'],
      ['123', ''],
      ['__proto__', 'x'],
      ['a b', '!tag'],
    ]),
    manifestPath: '@path',
  };
  const expiry = { $case: 'expiresAt', value: { seconds: 4_102_444_800n, nanos: 123_456_000 } } as const;
  const token = await world.issue('owner-a', {
    ...odd,
    scopes: ['b', 'a'],
    prefix: '1e3',
    expiry,
    isActive: false,
  });
  const secret = await world.keep('owner-a', { ...odd, expiry });
  const { account } = await world.admin.accounts.createAccount({ name: 'null', companyName: '~', ...odd });
  const { user } = await world.admin.accounts.createUser({
    username: world.newName(),
    firstName: 'on',
    isActive: false,
  });
  const profile = await world.join(existing(user).username, ACCOUNT_A);
  return [
    { $case: 'token', value: byId(token) },
    { $case: 'secret', value: byId(secret) },
    { $case: 'account', value: byId(existing(account)) },
    { $case: 'user', value: byId(existing(user)) },
    { $case: 'userProfile', value: byId(profile) },
  ];
}

describe('what describes a resource', () => {
  test('changes nothing when it is applied, in either format, whatever the resource has', async () => {
    const [before] = await execute(world.database.url, 'SELECT 1');
    expect(before).toBeDefined();
    for (const resource of await resources()) {
      for (const format of FORMATS) {
        const manifest = await describedAs(resource, format);
        expect(await outcomes(manifest), manifest).toEqual([UNCHANGED]);
      }
    }
  });

  test('says the same to another reader of YAML as in JSON', async () => {
    for (const resource of await resources()) {
      const json = await describedAs(resource, ManifestFormat.MANIFEST_FORMAT_JSON);
      for (const version of ['1.1', '1.2'] as const) {
        const yaml = parse(await describedAs(resource), {
          version,
          merge: false,
          ...TIMES_AS_TEXT,
        }) as unknown;
        expect(yaml).toEqual(JSON.parse(json));
      }
    }
  });

  test('holds neither the plaintext of a token nor the value of a secret', async () => {
    const token = await world.issue('owner-a');
    const secret = await world.keep('owner-a');
    const described = [
      await describedAs({ $case: 'token', value: byId(token) }),
      await describedAs({ $case: 'secret', value: byId(secret) }),
    ].join();
    expect(described).not.toContain(token.plaintext);
    expect(described).not.toContain(secret.value);
  });

  test('does not exist for those who may not read it', async () => {
    const { id } = await world.issue('owner-a');
    const request = { resource: { $case: 'token', value: byId({ id }) } } as const;
    await expect(world.as('staff-b').manifests.getManifest(request)).rejects.toMatchObject({
      codeName: 'NOT_FOUND',
    });
    const scopes = ['keyward.secrets.read', 'keyward.accounts.read'];
    const { plaintext } = await world.issue('owner-a', { scopes });
    const other = world.client(plaintext).manifests.getManifest(request);
    await expect(other).rejects.toMatchObject({ reason: 'SCOPE_MISSING' });
  });
});

/** The library reads times of YAML 1.1 as dates, which say the same and look otherwise. */
const TIMES_AS_TEXT = {
  customTags: (tags: unknown[]) =>
    (tags as { tag?: string }[]).filter(({ tag }) => tag !== 'tag:yaml.org,2002:timestamp') as never,
};

test('whatever texts a resource has, its document is read back with them, and holds nothing that a terminal obeys', () => {
  const text = fc.string({ unit: 'binary', maxLength: 40 });
  const lines = fc.array(
    fc.constantFrom('', ' ', 'a', '\n', '\n\n', '\t', '# x', '- ', ': ', "'", '"', '\\', '|'),
  );
  const odd = fc.oneof(
    text,
    lines.map((parts) => parts.join('')),
  );
  const storable = odd.filter((one) => !/\0|\p{Surrogate}/u.test(one));
  fc.assert(
    fc.property(
      fc.record({ description: storable, tags: fc.array(storable), key: storable, value: storable }),
      fc.constantFrom('YAML', 'JSON'),
      ({ description, tags, key, value }, format) => {
        const settings = {
          description,
          tags,
          annotations: new Map([[key, value]]),
          version: '1.0.0',
          isActive: true,
        };
        const resource = {
          ...settings,
          name: 'x',
          accountNumber: '1',
          id: 1n,
          rowVersion: 1n,
          createdAt: 0n,
          updatedAt: null,
        };
        const written = writeManifest('Account', resource, {}, format);
        expect(written.replaceAll('\n', '')).not.toMatch(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/u);
        const v = new Violations();
        const [document] = readManifest(v, written).documents;
        expect(v.all).toEqual([]);
        expect(document?.settings['description'] ?? '').toBe(description);
        expect(document?.settings['tags'] ?? []).toEqual(tags);
        expect(document?.settings['annotations']).toEqual(settings.annotations);
      },
    ),
    { numRuns: 1_000 },
  );
});

test('the example of docs/manifests.md makes one of each kind, and nothing the second time', async () => {
  const page = readFileSync(new URL('../../../docs/manifests.md', import.meta.url), 'utf8');
  const manifest = existing(/```yaml\n([^]*?)```/.exec(page)?.[1]);
  const secretValues = [{ document: 4, payload: textOf(newValue()) }];
  const first = await world.admin.manifests.applyManifest({ manifest, secretValues });
  expect(first.documents.map(({ kind, outcome }) => [kind, outcome])).toEqual(
    ['Account', 'User', 'UserProfile', 'ApiKey', 'Secret'].map((kind) => [kind, CREATED]),
  );
  const again = await world.admin.manifests.applyManifest({ manifest, secretValues });
  expect(again.documents.map(({ outcome }) => outcome)).toEqual(again.documents.map(() => UNCHANGED));
});
