import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { VerdictReason, type KeywardClient } from '../../../src/client/index.js';
import { byId } from '../../support/requests.js';
import { encodeRequest, Peer, type RequestOf } from '../../support/rpc.js';
import { execute } from '../../support/sql.js';
import { World, type Issued } from '../../support/world.js';

const HOUR: RequestOf<'createToken'> = { expiry: { $case: 'ttl', value: { seconds: 3600n, nanos: 0 } } };
const HOUR_MS = 3_600_000;

/** At level trace every call goes through the whole chain; at info those that memory can answer do not. */
describe.each(['info', 'trace'])('with log level %s', (level) => {
  let world: World;

  beforeAll(async () => {
    world = await World.create({ KEYWARD_LOG_LEVEL: level });
  });

  afterAll(() => world.close());

  async function verdict(token: string, requiredScopes: readonly string[] = []): Promise<string> {
    const response = await world.admin.tokens.validateToken({ token, requiredScopes });
    const reason = VerdictReason[response.reason].replace('VERDICT_REASON_', '');
    expect(response.valid).toBe(reason === 'OK');
    return reason;
  }

  /** twice asks with a cold and with a warm cache. */
  async function twice(token: string, requiredScopes: readonly string[] = []): Promise<string> {
    const reason = await verdict(token, requiredScopes);
    expect(await verdict(token, requiredScopes)).toBe(reason);
    return reason;
  }

  async function switchOff(what: 'user' | 'account' | 'token', id: bigint): Promise<void> {
    const { accounts, tokens } = world.admin;
    const selector = byId({ id });
    const change = { selector, updateMask: ['is_active'] };
    if (what === 'user') await accounts.updateUser({ ...change, user: { isActive: false } });
    else if (what === 'account') await accounts.updateAccount({ ...change, account: { isActive: false } });
    else await tokens.deactivateToken({ selector });
  }

  /** issueAlone makes a token whose user, account and profile are its own. */
  async function issueAlone(
    request: RequestOf<'createToken'> = {},
  ): Promise<Issued & { profileId: bigint; userId: bigint; accountId: bigint }> {
    const account = await world.newAccount();
    const username = world.newName();
    await world.admin.accounts.createUser({ username, isStaff: true });
    const { id: profileId, userId } = await world.join(username, account.accountNumber);
    const issued = await world.issue('admin', { ...request, owner: byId({ id: profileId }) });
    return { ...issued, profileId, userId, accountId: account.id };
  }

  test('the first reason that applies is given: expiry, owner, token, account, scope', async () => {
    const token = await issueAlone({ ...HOUR, scopes: ['a'] });
    const ask = () => twice(token.plaintext, ['b']);
    expect(await twice(token.plaintext)).toBe('OK');
    expect(await ask()).toBe('INSUFFICIENT_SCOPE');
    await switchOff('account', token.accountId);
    expect(await ask()).toBe('ACCOUNT_INACTIVE');
    await switchOff('token', token.id);
    expect(await ask()).toBe('INACTIVE');
    await switchOff('user', token.userId);
    expect(await ask()).toBe('OWNER_INACTIVE');
    world.clock.advance(HOUR_MS + 1);
    expect(await ask()).toBe('EXPIRED');
  });

  test('an answer tells of a valid token whose it is, of a refused one its key id alone, of an unknown text nothing', async () => {
    const token = await issueAlone({ scopes: ['a', 'b'] });
    const { tokens } = world.admin;
    const valid = await tokens.validateToken({ token: token.plaintext });
    expect(valid).toMatchObject({
      valid: true,
      keyId: token.keyId,
      name: token.name,
      scopes: ['a', 'b'],
      principal: {
        userId: token.userId,
        userProfileId: token.profileId,
        accountId: token.accountId,
        isStaff: true,
      },
    });
    const nothing = { valid: false, name: '', scopes: [], principal: undefined, expiresAt: undefined };
    const refused = await tokens.validateToken({ token: token.plaintext, requiredScopes: ['c'] });
    expect(refused).toMatchObject({ ...nothing, keyId: token.keyId });
    expect(await tokens.validateToken({ token: 'unknown' })).toMatchObject({ ...nothing, keyId: '' });
  });

  test('a token passes up to the moment of its expiry and not a millisecond longer, and is not deleted', async () => {
    const token = await world.issue('owner-a', HOUR);
    const expiresAt = world.clock.now() + HOUR_MS;
    for (const warm of [false, true]) {
      world.clock.set(expiresAt);
      expect(await verdict(token.plaintext), String(warm)).toBe('OK');
    }
    world.clock.set(expiresAt + 1);
    expect(await twice(token.plaintext)).toBe('EXPIRED');
    const { token: kept } = await world.admin.tokens.getToken({ token: byId(token) });
    expect(kept?.keyId).toBe(token.keyId);
  });

  test('an expiry that is given to the microsecond is strict to the microsecond', async () => {
    const now = BigInt(world.clock.now()) * 1_000_000n;
    const at = now + 1_000_000_000n + 500_000n;
    const expiresAt = { seconds: at / 1_000_000_000n, nanos: Number(at % 1_000_000_000n) };
    const token = await world.issue('owner-a', { expiry: { $case: 'expiresAt', value: expiresAt } });
    world.clock.advance(1000);
    expect(await twice(token.plaintext)).toBe('OK');
    world.clock.advance(1);
    expect(await twice(token.plaintext)).toBe('EXPIRED');
  });

  test('the text is taken exactly as it is', async () => {
    const { plaintext } = await world.issue('owner-a', { prefix: 'Live_' });
    expect(await twice(plaintext)).toBe('OK');
    const changed = [
      ` ${plaintext}`,
      `${plaintext} `,
      `${plaintext}\n`,
      `${plaintext}\0`,
      `Bearer ${plaintext}`,
      plaintext.toUpperCase(),
      plaintext.slice('Live_'.length),
      plaintext.slice(0, -1),
      plaintext.slice(0, 15),
      `\uFEFF${plaintext}`,
      '',
    ];
    for (const text of changed) expect(await twice(text), JSON.stringify(text)).toBe('UNKNOWN');
  });

  test('over 1 KiB of text is UNKNOWN, counted in bytes', async () => {
    for (const text of [
      'x'.repeat(1024),
      'x'.repeat(1025),
      'é'.repeat(513),
      '€'.repeat(400),
      'x'.repeat(100_000),
    ]) {
      expect(await twice(text)).toBe('UNKNOWN');
    }
  });

  test('a text of 1 KiB that was imported as a token passes, and of one byte more never does', async () => {
    for (const [length, expected] of [
      [1024, 'OK'],
      [1025, 'UNKNOWN'],
    ] as const) {
      const { id } = await world.issue('owner-a');
      const text = `${world.newName()}-`.padEnd(length, 'é'.repeat(1)).slice(0, length).replaceAll('é', 'e');
      await execute(
        world.database.url,
        "UPDATE token_digests SET digest = sha512(convert_to($2, 'UTF8')) WHERE token_id = $1",
        [String(id), text],
      );
      expect(await twice(text)).toBe(expected);
    }
  });

  test('a scope is held by its own text, by *, or by its family', async () => {
    const exact = await world.issue('owner-a', { scopes: ['files.read', 'a:*', 'b/*', 'c.*'] });
    const everything = await world.issue('owner-a');
    for (const scopes of [['files.read'], ['a:x', 'a:x:y'], ['b/x'], ['c.d'], ['c.d', 'files.read']]) {
      expect(await twice(exact.plaintext, scopes)).toBe('OK');
      expect(await twice(everything.plaintext, scopes)).toBe('OK');
    }
    for (const scopes of [
      ['files.write'],
      ['files.read.all'],
      ['a'],
      ['ab:x'],
      ['cd'],
      ['c.d', 'x'],
      ['*'],
      ['b.*'],
    ]) {
      expect(await twice(exact.plaintext, scopes), scopes.join()).toBe('INSUFFICIENT_SCOPE');
      expect(await twice(everything.plaintext, scopes)).toBe('OK');
    }
  });

  test('every change made through the service is seen by the next validation', async () => {
    const { tokens, accounts } = world.admin;
    const token = await issueAlone();
    const { plaintext } = token;
    const selector = byId(token);
    expect(await twice(plaintext)).toBe('OK');
    await tokens.deactivateToken({ selector });
    expect(await twice(plaintext)).toBe('INACTIVE');
    await tokens.activateToken({ selector });
    expect(await twice(plaintext)).toBe('OK');
    await tokens.toggleToken({ selector });
    expect(await twice(plaintext)).toBe('INACTIVE');
    await tokens.toggleToken({ selector });
    expect(await twice(plaintext)).toBe('OK');
    await tokens.updateToken({ selector, token: { scopes: ['a'] }, updateMask: ['scopes'] });
    expect(await twice(plaintext, ['b'])).toBe('INSUFFICIENT_SCOPE');
    await tokens.renameToken({ selector, newName: 'renamed' });
    expect(await tokens.validateToken({ token: plaintext })).toMatchObject({
      name: 'renamed',
      scopes: ['a'],
    });
    for (const [isActive, reason] of [
      [false, 'OWNER_INACTIVE'],
      [true, 'OK'],
    ] as const) {
      await accounts.updateUser({
        selector: byId({ id: token.userId }),
        user: { isActive },
        updateMask: ['is_active'],
      });
      expect(await twice(plaintext)).toBe(reason);
    }
    for (const [isActive, reason] of [
      [false, 'ACCOUNT_INACTIVE'],
      [true, 'OK'],
    ] as const) {
      const change = { account: { isActive }, updateMask: ['is_active'] };
      await accounts.updateAccount({ selector: byId({ id: token.accountId }), ...change });
      expect(await twice(plaintext)).toBe(reason);
    }
    await accounts.updateUser({
      selector: byId({ id: token.userId }),
      user: { isStaff: false },
      updateMask: ['is_staff'],
    });
    expect((await tokens.validateToken({ token: plaintext })).principal?.isStaff).toBe(false);
    const seconds = BigInt(Math.ceil(world.clock.now() / 1000)) + 1n;
    await tokens.updateToken({
      selector,
      token: { expiresAt: { seconds, nanos: 0 } },
      updateMask: ['expires_at'],
    });
    expect(await twice(plaintext)).toBe('OK');
    world.clock.set(Number(seconds) * 1000 + 1);
    expect(await twice(plaintext)).toBe('EXPIRED');
    await tokens.updateToken({ selector, token: {}, updateMask: ['expires_at'] });
    expect(await twice(plaintext)).toBe('OK');
    await tokens.revokeToken({ selector });
    expect(await twice(plaintext)).toBe('UNKNOWN');
  });

  test.each([
    [
      'the profile',
      (client: KeywardClient, t: { profileId: bigint }) =>
        client.accounts.deleteUserProfile({ selector: byId({ id: t.profileId }), force: true }),
    ],
    [
      'the user',
      (client: KeywardClient, t: { userId: bigint }) =>
        client.accounts.deleteUser({ selector: byId({ id: t.userId }), force: true }),
    ],
    [
      'the account',
      (client: KeywardClient, t: { accountId: bigint }) =>
        client.accounts.deleteAccount({ selector: byId({ id: t.accountId }), force: true }),
    ],
    [
      'all of the tokens of the user',
      (client: KeywardClient, t: { userId: bigint }) =>
        client.tokens.revokeUserTokens({ user: byId({ id: t.userId }) }),
    ],
  ])('deleting %s makes the token unknown at once, and its own calls refused', async (_, remove) => {
    const token = await issueAlone();
    const self = new Peer(world.server.address, { token: token.plaintext });
    expect(await twice(token.plaintext)).toBe('OK');
    expect(await self.call('listTokens', {})).toMatchObject({ code: 'OK' });
    await remove(world.admin, token);
    expect(await twice(token.plaintext)).toBe('UNKNOWN');
    expect(await self.call('listTokens', {})).toMatchObject({ code: 'UNAUTHENTICATED' });
    self.close();
  });

  test('a text that was unknown is found as soon as the service makes it a token', async () => {
    // Nobody can guess a plaintext; a clock that stands still keeps what was remembered as unknown.
    const issued = await world.issue('owner-a');
    await world.admin.tokens.revokeToken({ selector: byId(issued) });
    expect(await twice(issued.plaintext)).toBe('UNKNOWN');
    const again = await Promise.all(Array.from({ length: 20 }, () => world.issue('owner-a')));
    expect(await Promise.all(again.map(({ plaintext }) => verdict(plaintext)))).toEqual(
      again.map(() => 'OK'),
    );
  });

  test('a batch answers in the order of its requests, each by its own scopes', async () => {
    const [a, b] = [
      await world.issue('owner-a', { scopes: ['a'] }),
      await world.issue('owner-a', { scopes: ['b'] }),
    ];
    const kinds = [
      [{ token: a.plaintext }, 'OK', a.keyId],
      [{ token: 'nothing' }, 'UNKNOWN', ''],
      [{ token: b.plaintext, requiredScopes: ['a'] }, 'INSUFFICIENT_SCOPE', b.keyId],
      [{ token: '' }, 'UNKNOWN', ''],
      [{ token: b.plaintext, requiredScopes: ['b'] }, 'OK', b.keyId],
      [{ token: 'x'.repeat(2000) }, 'UNKNOWN', ''],
    ] as const;
    const chosen = Array.from({ length: 1000 }, (_, index) => kinds[(index * 7) % kinds.length] ?? kinds[0]);
    for (const _ of ['cold', 'warm']) {
      const { responses } = await world.admin.tokens.batchValidateTokens({
        requests: chosen.map(([request]) => request),
      });
      expect(responses.map(({ reason, keyId }) => [VerdictReason[reason], keyId])).toEqual(
        chosen.map(([, reason, keyId]) => [`VERDICT_REASON_${reason}`, keyId]),
      );
    }
  });

  test('every encoding of a request gives the same answer', async () => {
    const { plaintext } = await world.issue('owner-a');
    const peer = new Peer(world.server.address, { token: world.adminToken });
    const plain = encodeRequest('validateToken', { token: plaintext });
    const unknownField = Buffer.from([0x98, 0x06, 0x01]);
    const field = plain.subarray(0, 2);
    const longLength = Buffer.from([0x0a, (field[1] ?? 0) | 0x80, 0x00]);
    const forms = [
      plain,
      Buffer.concat([plain, unknownField]),
      Buffer.concat([unknownField, plain]),
      Buffer.concat([longLength, plain.subarray(2)]),
      Buffer.concat([encodeRequest('validateToken', { token: 'first' }), plain]),
    ];
    const answers = await Promise.all(forms.map((form) => peer.callRaw('validateToken', form)));
    expect(new Set(answers.map(({ code, response }) => `${code} ${response.toString('hex')}`)).size).toBe(1);
    const batches = forms.map((form) =>
      Buffer.concat([Buffer.from([0x0a, form.length | 0x80, form.length >> 7]), form]),
    );
    const short = Buffer.concat([Buffer.from([0x0a, plain.length]), plain]);
    const whole = await Promise.all(
      [short, ...batches].map((batch) => peer.callRaw('batchValidateTokens', batch)),
    );
    expect(new Set(whole.map(({ code, response }) => `${code} ${response.toString('hex')}`)).size).toBe(1);
    peer.close();
  });

  test.each([
    ['Bearer', (token: string) => `Bearer ${token}`, 'OK'],
    ['Token', (token: string) => `Token ${token}`, 'OK'],
    ['the scheme in small letters', (token: string) => `bearer ${token}`, 'OK'],
    ['the scheme in capitals', (token: string) => `TOKEN ${token}`, 'OK'],
    ['several spaces', (token: string) => `Bearer   ${token}`, 'OK'],
    ['Basic', (token: string) => `Basic ${token}`, 'UNAUTHENTICATED'],
    [
      'Basic as browsers send it',
      (token: string) => `Basic ${Buffer.from(`a:${token}`).toString('base64')}`,
      'UNAUTHENTICATED',
    ],
    ['no scheme', (token: string) => token, 'UNAUTHENTICATED'],
    ['no space', (token: string) => `Bearer${token}`, 'UNAUTHENTICATED'],
    ['the scheme alone', () => 'Bearer', 'UNAUTHENTICATED'],
    ['nothing', () => '', 'UNAUTHENTICATED'],
    ['two in one header', (token: string) => `Bearer ${token}, Bearer ${token}`, 'UNAUTHENTICATED'],
    ['something behind the token', (token: string) => `Bearer ${token} x`, 'UNAUTHENTICATED'],
    ['a line of 8 KiB', (token: string) => `Bearer ${token}${'x'.repeat(8000)}`, 'UNAUTHENTICATED'],
  ])('credentials as %s', async (_, header, code) => {
    const peer = new Peer(world.server.address, {}, { authorization: header(world.adminToken) });
    for (const method of ['validateToken', 'listTokens'] as const) {
      for (const _ of ['cold', 'warm']) expect((await peer.call(method, {})).code).toBe(code);
    }
    peer.close();
  });
});
