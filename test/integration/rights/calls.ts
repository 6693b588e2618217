import fc from 'fast-check';
import type { MethodName, RequestOf } from '../../support/rpc.js';
import { documentOf, GHOST, type Names } from './documents.js';

/** Choice is what is random of a call; numbers choose among what there is then. */
export interface Choice {
  readonly method: MutatingMethod;
  /** Which credential of those at hand that have the scope for the method; often the first of them. */
  readonly credential: number;
  /** Chooses a token that the caller knows a plaintext of, its owner or its account, if `aims`; else any. */
  readonly target: number;
  readonly aims: boolean;
  readonly other: number;
  readonly scopes: readonly string[];
  /** Seconds from now; undefined for never. */
  readonly expiry: number | undefined;
  readonly mask: number;
  readonly flags: readonly [boolean, boolean, boolean];
  readonly keepTokens: boolean;
}

const SCOPE_SETS = [['*'], ['app.read'], ['app.*'], ['app.read', 'billing'], ['keyward.accounts.write']];
const YEAR = 31_536_000;

const bySelector = (id: bigint) => ({ selector: { $case: 'id', value: id } }) as const;

/** Aim is what a call is about. */
export interface Aim {
  readonly token: bigint;
  readonly user: bigint;
  readonly profile: bigint;
  readonly account: bigint;
  readonly secret: bigint;
  readonly newName: string;
  /** What documents call them. */
  readonly names: Names;
}

/**
 * REQUESTS make the request of every RPC that changes tokens, users, profiles or accounts, or by which the value of a
 * secret reaches others.
 */
export const REQUESTS = {
  createToken: ({ profile, newName }, { scopes, expiry, flags }) => ({
    owner: bySelector(profile),
    name: newName,
    scopes: [...scopes],
    isActive: flags[0],
    ...(expiry !== undefined && { expiry: { $case: 'ttl', value: { seconds: BigInt(expiry), nanos: 0 } } }),
  }),
  updateToken: ({ token }, { scopes, expiry, mask }) => ({
    selector: bySelector(token),
    token: {
      scopes: [...scopes],
      ...(expiry !== undefined && {
        expiresAt: { seconds: BigInt(Math.floor(Date.now() / 1000) + expiry), nanos: 0 },
      }),
    },
    updateMask: chosen(['scopes', 'expires_at', 'description'], mask),
  }),
  renameToken: ({ token, newName }) => ({ selector: bySelector(token), newName }),
  cloneToken: ({ token, profile, newName }, { flags }) => ({
    selector: bySelector(token),
    newName,
    ...(flags[0] && { owner: bySelector(profile) }),
  }),
  transferToken: ({ token, profile }) => ({ selector: bySelector(token), owner: bySelector(profile) }),
  attachTokenReference: ({ token }) => ({ selector: bySelector(token), kind: 'job', consumer: 'nightly' }),
  detachTokenReference: ({ token }) => ({ selector: bySelector(token), kind: 'job', consumer: 'nightly' }),
  activateToken: ({ token }) => ({ selector: bySelector(token) }),
  deactivateToken: ({ token }) => ({ selector: bySelector(token) }),
  toggleToken: ({ token }) => ({ selector: bySelector(token) }),
  rotateToken: ({ token }, { flags }) => ({
    selector: bySelector(token),
    gracePeriod: { seconds: flags[0] ? 3600n : 0n, nanos: 0 },
  }),
  revokeToken: ({ token }) => ({ selector: bySelector(token) }),
  revokeUserTokens: ({ user }) => ({ user: bySelector(user) }),
  cloneSecret: ({ secret, profile, newName }, { flags }) => ({
    selector: bySelector(secret),
    newName,
    ...(flags[0] && { owner: bySelector(profile) }),
  }),
  transferSecret: ({ secret, profile }) => ({ selector: bySelector(secret), owner: bySelector(profile) }),
  grantAccess: ({ secret, profile }) => ({ selector: bySelector(secret), userProfile: bySelector(profile) }),
  createAccount: ({ newName }) => ({ name: newName }),
  updateAccount: ({ account }, { flags }) => ({
    selector: bySelector(account),
    account: { isActive: flags[0] },
    updateMask: ['is_active'],
  }),
  deleteAccount: ({ account }, { flags }) => ({ selector: bySelector(account), force: flags[0] }),
  createUser: ({ newName }, { flags, keepTokens }) => ({
    username: keepTokens ? GHOST : newName,
    isActive: flags[0],
    isStaff: flags[1],
    isSuperuser: flags[2],
  }),
  updateUser: ({ user }, { flags, mask, keepTokens }) => ({
    selector: bySelector(user),
    user: { isActive: flags[0], isStaff: flags[1], isSuperuser: flags[2] },
    updateMask: chosen(['is_active', 'is_staff', 'is_superuser'], mask),
    keepTokens,
  }),
  deleteUser: ({ user }, { flags }) => ({ selector: bySelector(user), force: flags[0] }),
  createUserProfile: ({ user, account }, { keepTokens }) => ({
    user: bySelector(user),
    account: bySelector(account),
    keepTokens,
  }),
  updateUserProfile: ({ profile }) => ({
    selector: bySelector(profile),
    userProfile: { description: 'changed' },
    updateMask: ['description'],
  }),
  deleteUserProfile: ({ profile }, { flags }) => ({ selector: bySelector(profile), force: flags[0] }),
  applyManifest: (aim, choice) => ({ manifest: JSON.stringify(documentOf(aim, choice)), secretValues: [] }),
} as const satisfies {
  readonly [Name in MethodName]?: (aim: Aim, choice: Choice) => RequestOf<Name>;
};

export type MutatingMethod = keyof typeof REQUESTS;
export const MUTATING_METHODS = Object.keys(REQUESTS) as MutatingMethod[];

const flag = fc.constantFrom(true, true, false);

/** choices make random choices of a call by one of these methods. */
export const choices = (...methods: readonly MutatingMethod[]): fc.Arbitrary<Choice> =>
  fc.record({
    method: fc.constantFrom(...methods),
    credential: fc.nat(9),
    target: fc.nat(1000),
    aims: fc.integer({ min: 1, max: 4 }).map((number) => number > 1),
    other: fc.nat(1000),
    scopes: fc.constantFrom(...SCOPE_SETS),
    expiry: fc.constantFrom(undefined, 60, YEAR),
    mask: fc.constantFrom(1, 1, 2, 2, 3, 4, 5, 6, 7),
    flags: fc.tuple(flag, flag, flag),
    keepTokens: fc.boolean(),
  });

function chosen(paths: readonly string[], mask: number): string[] {
  return paths.filter((_, index) => mask & (1 << index));
}
