import type { KeywardClient, Propagation, ValidateTokenResponse } from '../../src/client/index.js';
import { VerdictReason } from '../../src/client/index.js';
import { byId } from './requests.js';
import type { MethodName, RequestOf } from './rpc.js';
import type { Issued, World } from './world.js';

/** Seen is what validations tell of a token, as far as calls can change it. */
export interface Seen {
  readonly reason: string;
  readonly name: string;
  readonly scopes: readonly string[];
}

/** Case is one call that changes what validations tell of a token. */
interface Case {
  readonly plaintext: string;
  readonly before: Partial<Seen>;
  readonly call: (client: KeywardClient) => Promise<{ readonly propagation?: Propagation | undefined }>;
  readonly after: Partial<Seen>;
}

export function seenIn({ reason, name, scopes }: ValidateTokenResponse): Seen {
  return { reason: VerdictReason[reason].replace('VERDICT_REASON_', ''), name, scopes };
}

/** A token whose user and account are its own. */
async function issueAlone(
  world: World,
): Promise<Issued & { profile: bigint; user: bigint; account: bigint }> {
  const { id: account, accountNumber } = await world.newAccount();
  const username = world.newName();
  await world.admin.accounts.createUser({ username, isStaff: true });
  const { id: profile, userId: user } = await world.join(username, accountNumber);
  return { ...(await world.issue('admin', { owner: byId({ id: profile }) })), profile, user, account };
}

const OK = { reason: 'OK' };
const UNKNOWN = { reason: 'UNKNOWN' };

function ofToken(
  request: RequestOf<'createToken'>,
  before: Partial<Seen>,
  change: (client: KeywardClient, selector: ReturnType<typeof byId>) => ReturnType<Case['call']>,
  after: Partial<Seen>,
): (world: World) => Promise<Case> {
  return async (world) => {
    const token = await world.issue('owner-a', request);
    const { plaintext } = token;
    return { plaintext, before, call: (client) => change(client, byId(token)), after };
  };
}

function ofOwner(
  change: (client: KeywardClient, token: Awaited<ReturnType<typeof issueAlone>>) => ReturnType<Case['call']>,
  after: Partial<Seen>,
): (world: World) => Promise<Case> {
  return async (world) => {
    const token = await issueAlone(world);
    return { plaintext: token.plaintext, before: OK, call: (client) => change(client, token), after };
  };
}

const SWITCHED_OFF = { isActive: false };
const updateMask = ['is_active'];

/** One row for each RPC that can change what validations tell. */
export const PROPAGATION_ROWS = {
  activateToken: ofToken(
    SWITCHED_OFF,
    { reason: 'INACTIVE' },
    ({ tokens }, selector) => tokens.activateToken({ selector }),
    OK,
  ),
  deactivateToken: ofToken({}, OK, ({ tokens }, selector) => tokens.deactivateToken({ selector }), {
    reason: 'INACTIVE',
  }),
  toggleToken: ofToken({}, OK, ({ tokens }, selector) => tokens.toggleToken({ selector }), {
    reason: 'INACTIVE',
  }),
  rotateToken: ofToken({}, OK, ({ tokens }, selector) => tokens.rotateToken({ selector }), {
    reason: 'EXPIRED',
  }),
  updateToken: ofToken(
    { scopes: ['a', 'b'] },
    { scopes: ['a', 'b'] },
    ({ tokens }, selector) =>
      tokens.updateToken({ selector, token: { scopes: ['a'] }, updateMask: ['scopes'] }),
    { scopes: ['a'] },
  ),
  renameToken: async (world) => {
    const token = await world.issue('owner-a');
    const newName = world.newName();
    const call = ({ tokens }: KeywardClient) => tokens.renameToken({ selector: byId(token), newName });
    return { plaintext: token.plaintext, before: { name: token.name }, call, after: { name: newName } };
  },
  transferToken: async (world) => {
    const token = await issueAlone(world);
    const to = await issueAlone(world);
    await world.admin.accounts.updateUser({
      selector: byId({ id: to.user }),
      user: SWITCHED_OFF,
      updateMask,
    });
    const call = ({ tokens }: KeywardClient) =>
      tokens.transferToken({ selector: byId(token), owner: byId({ id: to.profile }) });
    return { plaintext: token.plaintext, before: OK, call, after: { reason: 'OWNER_INACTIVE' } };
  },
  applyManifest: async (world) => {
    const { name, plaintext } = await world.issue('owner-a');
    const { username, accountNumber } = world.profileOf('owner-a');
    const spec = { owner: { username, accountNumber }, isActive: false };
    const manifest = JSON.stringify({ apiVersion: 'keyward/v1', kind: 'ApiKey', metadata: { name }, spec });
    const call = ({ manifests }: KeywardClient) => manifests.applyManifest({ manifest });
    return { plaintext, before: OK, call, after: { reason: 'INACTIVE' } };
  },
  revokeToken: ofToken({}, OK, ({ tokens }, selector) => tokens.revokeToken({ selector }), UNKNOWN),
  revokeUserTokens: ofOwner(
    ({ tokens }, { user }) => tokens.revokeUserTokens({ user: byId({ id: user }) }),
    UNKNOWN,
  ),
  updateAccount: ofOwner(
    ({ accounts }, { account }) =>
      accounts.updateAccount({ selector: byId({ id: account }), account: SWITCHED_OFF, updateMask }),
    { reason: 'ACCOUNT_INACTIVE' },
  ),
  deleteAccount: ofOwner(
    ({ accounts }, { account }) => accounts.deleteAccount({ selector: byId({ id: account }), force: true }),
    UNKNOWN,
  ),
  updateUser: ofOwner(
    ({ accounts }, { user }) =>
      accounts.updateUser({ selector: byId({ id: user }), user: SWITCHED_OFF, updateMask }),
    { reason: 'OWNER_INACTIVE' },
  ),
  deleteUser: ofOwner(
    ({ accounts }, { user }) => accounts.deleteUser({ selector: byId({ id: user }), force: true }),
    UNKNOWN,
  ),
  createUserProfile: async (world) => {
    // The superuser issued the token, and so knows it.
    const { plaintext, user } = await issueAlone(world);
    const account = byId(await world.newAccount());
    const call = ({ accounts }: KeywardClient) =>
      accounts.createUserProfile({ user: byId({ id: user }), account });
    return { plaintext, before: OK, call, after: { reason: 'INACTIVE' } };
  },
  deleteUserProfile: ofOwner(
    ({ accounts }, { profile }) =>
      accounts.deleteUserProfile({ selector: byId({ id: profile }), force: true }),
    UNKNOWN,
  ),
} as const satisfies Partial<Record<MethodName, (world: World) => Promise<Case>>>;
