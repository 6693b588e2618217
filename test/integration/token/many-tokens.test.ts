import { VerdictReason } from '../../../src/client/index.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { byId } from '../../support/requests.js';
import { Peer, outcomeOf, type RequestOf } from '../../support/rpc.js';
import { ACCOUNT_A, ACCOUNT_B, World } from '../../support/world.js';

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

async function verdict(token: string): Promise<string> {
  const { reason } = await world.admin.tokens.validateToken({ token });
  return VerdictReason[reason].replace('VERDICT_REASON_', '');
}

describe('many tokens', () => {
  test('revoking a user’s tokens takes those that the caller manages, and only those', async () => {
    const first = await world.issueTo();
    const inB = await world.join(first.profile.username, ACCOUNT_B);
    const second = await world.issue('admin', { owner: byId(inB) });
    const user = { selector: { $case: 'username', value: first.profile.username } } as const;
    const revoke = (client: World['admin']) => client.tokens.revokeUserTokens({ user });
    expect(await revoke(world.as('staff-a'))).toMatchObject({ revokedCount: 1 });
    expect(await Promise.all([first, second].map(({ plaintext }) => verdict(plaintext)))).toEqual([
      'UNKNOWN',
      'OK',
    ]);
    expect(await revoke(world.as('staff-a'))).toMatchObject({ revokedCount: 0 });
    expect(await revoke(world.admin)).toMatchObject({ revokedCount: 1 });
    expect(await verdict(second.plaintext)).toBe('UNKNOWN');
  });

  test('a name that several owners of an account have is ambiguous, and the candidates are named', async () => {
    const mine = await world.issue('owner-a');
    const theirs = await world.issue('staff-a', { name: mine.name });
    const elsewhere = await world.issue('staff-b', { name: mine.name });
    const peer = new Peer(world.server.address, { token: world.adminToken });
    const token = (accountNumber: string): RequestOf<'getToken'> => {
      const owner = { $case: 'accountNumber', value: accountNumber } as const;
      return { token: { selector: { $case: 'ownedName', value: { owner, name: mine.name } } } };
    };
    expect(await peer.call('getToken', token(ACCOUNT_A))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      reason: 'NAME_AMBIGUOUS',
      metadata: { candidates: `${mine.recordLocator},${theirs.recordLocator}` },
    });
    const { token: found } = await world.admin.tokens.getToken(token(ACCOUNT_B));
    expect(found?.id).toBe(elsewhere.id);
    peer.close();
  });

  test('pages hold every token once, in every order', async () => {
    const tag = world.newName();
    const issued = await Promise.all(
      Array.from({ length: 23 }, (_, index) =>
        world.issue(index % 2 === 0 ? 'owner-a' : 'staff-a', {
          tags: [tag, ...(index % 3 === 0 ? ['third'] : [])],
        }),
      ),
    );
    for (const orderBy of [
      '',
      'id desc',
      'name',
      'username desc, created_at',
      'expires_at desc, last_used_at, name',
    ]) {
      const ids: bigint[] = [];
      let pageToken = '';
      do {
        const page = await world.admin.tokens.listTokens({
          pageSize: 5,
          filter: `tag = "${tag}"`,
          orderBy,
          pageToken,
        });
        expect(page.tokens.length).toBeLessThanOrEqual(5);
        ids.push(...page.tokens.map(({ id }) => id));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      expect([...ids].sort(), orderBy).toEqual(issued.map(({ id }) => id).sort());
    }
    const { tokens } = await world.admin.tokens.listTokens({ filter: `tag = "${tag}" AND tag = "third"` });
    expect(tokens).toHaveLength(8);
  });

  test('a page token carries no rights and fits no other list', async () => {
    const { nextPageToken } = await world.admin.tokens.listTokens({ pageSize: 1 });
    const { tokens } = await world.as('staff-b').tokens.listTokens({ pageToken: nextPageToken });
    const accounts = new Set(tokens.map(({ owner }) => owner?.accountNumber));
    expect([...accounts].sort()).toEqual([ACCOUNT_B, '3141-5926-5359'].sort());
    const other = world.admin.tokens.listTokens({ pageToken: nextPageToken, filter: 'is_active = true' });
    expect(await outcomeOf(other)).toBe('INVALID_ARGUMENT INVALID_FIELDS');
  });
});
