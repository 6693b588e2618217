import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CREATED, ManifestApi, textOfAll, VALUE, valued, type Parts } from '../../support/manifest-api.js';
import { newValue, World } from '../../support/world.js';

let world: World;
let api: ManifestApi;

beforeAll(async () => {
  world = await World.create();
  api = new ManifestApi(world);
});

afterAll(() => world.close());

describe('nobody gains by a manifest what they were not given', () => {
  test('a document needs both scopes of its kind', async () => {
    const kinds: [string, Parts][] = [
      ['tokens', api.keyOf('admin', 'x')],
      ['secrets', api.secretOf('admin', 'x', VALUE)],
      ['accounts', { kind: 'User', metadata: { name: 'x' } }],
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
        expect(await api.refused(textOfAll(document), more, client)).toMatchObject({
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
    expect(await api.refused(textOfAll(user), {}, world.as('staff-a'))).toMatchObject({
      reason: 'NOT_PERMITTED',
    });
    const key = textOfAll(api.keyOf('owner-a', name, { isActive: false }));
    expect(await api.refused(key, {}, world.as('plain-a'))).toMatchObject({ reason: 'NOT_PERMITTED' });
    expect(await api.refused(key, {}, world.as('staff-b'))).toMatchObject({ reason: 'NOT_FOUND' });
    const text = textOfAll(api.secretOf('owner-a', secret.name, VALUE));
    expect(await api.refused(text, valued(secret.value), world.as('plain-a'))).toMatchObject({
      reason: 'NOT_PERMITTED',
    });
    expect(await api.refused(text, valued('x'), world.as('staff-b'))).toMatchObject({
      reason: 'NOT_FOUND',
    });
  });

  test('a token gains no scope that the caller has not', async () => {
    const { name } = await world.issue('owner-a', { scopes: ['a'] });
    const scopes = ['keyward.tokens.read', 'keyward.tokens.write'];
    const client = world.client((await world.issue('owner-a', { scopes })).plaintext);
    const gained = textOfAll(api.keyOf('owner-a', name, { scopes: ['a', 'b'] }));
    expect(await api.refused(gained, {}, client)).toMatchObject({ reason: 'SCOPE_NOT_HELD' });
  });

  test('whether a value is that of a secret is not told to those who may not have it', async () => {
    const { name, value } = await world.keep('owner-a');
    const scopes = ['keyward.secrets.read', 'keyward.secrets.write'];
    const writer = world.client((await world.issue('owner-a', { scopes })).plaintext);
    const text = textOfAll(api.secretOf('owner-a', name, VALUE));
    for (const dryRun of [false, true]) {
      for (const guess of [value, newValue()]) {
        const refused = await api.refused(text, { ...valued(guess), dryRun }, writer);
        expect(refused).toMatchObject({ codeName: 'PERMISSION_DENIED', reason: 'SCOPE_MISSING' });
      }
    }
    const made = await api.apply(
      textOfAll(api.secretOf('owner-a', world.newName(), VALUE)),
      valued(newValue()),
      writer,
    );
    expect(made[0]?.outcome).toBe(CREATED);
  });
});
