import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { KeywardError } from '../../../src/lib/errors.js';
import { digestHex, digestOf } from '../../../src/crypto/digest.js';
import { extent } from '../../support/extent.js';
import { encodeRequest, decodeRequest, type MethodName, type RequestOf } from '../../support/rpc.js';
import { GHOST, type Estate, type Known, type Pools, type Presented } from './estate.js';
import { gained, holds, passes, type Credential } from './oracle.js';

/** Choice is what is random of a call; numbers choose among what there is then. */
interface Choice {
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

/** Sequence is what one caller does, and what they know when they begin. */
export interface Sequence {
  /** The caller's own credential: a token's plaintext, or the certificate of a user. */
  readonly own: { readonly token: number } | { readonly certificateOf: string };
  readonly known: readonly number[];
  readonly calls: readonly Choice[];
}

const SCOPE_SETS = [['*'], ['app.read'], ['app.*'], ['app.read', 'billing'], ['keyward.accounts.write']];
const YEAR = 31_536_000;
const FAULTS: ReadonlySet<string> = new Set(['DATABASE_UNAVAILABLE', 'CONFLICT', 'INVALID_FIELDS']);
const CERTIFIED = ['root', 'staff-platform', 'staff-a', 'plain-a', 'off', 'nowhere', GHOST];

const bySelector = (id: bigint) => ({ selector: { $case: 'id', value: id } }) as const;

/** Aim is what a call is about. */
interface Aim {
  readonly token: bigint;
  readonly user: bigint;
  readonly profile: bigint;
  readonly account: bigint;
  readonly newName: string;
}

/** REQUESTS make the request of every RPC that changes tokens, users, profiles or accounts. */
const REQUESTS = {
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
  cloneToken: ({ token, newName }) => ({ selector: bySelector(token), newName }),
  activateToken: ({ token }) => ({ selector: bySelector(token) }),
  deactivateToken: ({ token }) => ({ selector: bySelector(token) }),
  toggleToken: ({ token }) => ({ selector: bySelector(token) }),
  rotateToken: ({ token }, { flags }) => ({
    selector: bySelector(token),
    gracePeriod: { seconds: flags[0] ? 3600n : 0n, nanos: 0 },
  }),
  revokeToken: ({ token }) => ({ selector: bySelector(token) }),
  revokeUserTokens: ({ user }) => ({ user: bySelector(user) }),
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
} as const satisfies {
  readonly [Name in MethodName]?: (aim: Aim, choice: Choice) => RequestOf<Name>;
};

export type MutatingMethod = keyof typeof REQUESTS;
export const MUTATING_METHODS = Object.keys(REQUESTS) as MutatingMethod[];

/** By these, tokens can gain: they are tried more often than those that only take. */
const GIVING_TOKENS: readonly MutatingMethod[] = [
  'createToken',
  'updateToken',
  'updateToken',
  'cloneToken',
  'activateToken',
  'toggleToken',
  'rotateToken',
];
const GIVING_OWNERS: readonly MutatingMethod[] = [
  'updateAccount',
  'createUser',
  'updateUser',
  'updateUser',
  'createUserProfile',
];

const flag = fc.constantFrom(true, true, false);

const choices = (...methods: readonly MutatingMethod[]): fc.Arbitrary<Choice> =>
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

/** sequences make at most three calls, of any kind, by one caller who knows some plaintexts. */
export function sequences({ known }: Estate): fc.Arbitrary<Sequence> {
  const token = fc.nat(known.length - 1);
  const named = (pattern: RegExp) => {
    const numbers = known.flatMap(({ name }, index) => (pattern.test(name) ? index : []));
    return fc.record({ token: fc.constantFrom(...numbers) });
  };
  // Those who may do everything gain nothing, and who may do nothing shows nothing.
  return fc.record({
    own: fc.oneof(
      { weight: 4, arbitrary: named(/^(root|boss) (accounts|both)$/) },
      { weight: 1, arbitrary: named(/^(root|boss) tokens$/) },
      { weight: 3, arbitrary: named(/^staff-\S+ (wide|tokens|both)$/) },
      { weight: 1, arbitrary: fc.record({ token }) },
      { weight: 1, arbitrary: fc.record({ certificateOf: fc.constantFrom(...CERTIFIED) }) },
    ),
    known: fc.uniqueArray(token, { minLength: 1, maxLength: 2 }),
    calls: fc.array(
      fc.oneof(choices(...GIVING_TOKENS), choices(...GIVING_OWNERS), choices(...MUTATING_METHODS)),
      {
        minLength: 1,
        maxLength: 3,
        size: 'max',
      },
    ),
  });
}

/** promotions are calls by which a superuser who knows of nothing gives users rights. */
const promotions: fc.Arbitrary<Choice> = choices('updateUser', 'createUserProfile').map((choice) => ({
  ...choice,
  mask: choice.mask & 6 || 2,
  keepTokens: false,
}));

/** Attempt is a caller at work: what they have at hand, and what there is. */
class Attempt {
  readonly #estate: Estate;
  readonly #pools: Pools;
  /** Digests of the plaintexts that the caller knows, in hexadecimal. */
  readonly #digests: string[];
  /** Usernames of the certificates that the caller has: always one of a user who does not exist. */
  readonly #usernames: readonly string[];
  /** What `atHand` told; undefined once that may have changed. */
  #atHand: Presented[] | undefined;
  /** Those of their tokens that are not the caller's own. */
  readonly #known: Known[];
  #names = 0;

  constructor(estate: Estate, { own, known }: Pick<Sequence, 'own' | 'known'>) {
    this.#estate = estate;
    this.#pools = estate.pools();
    const numbered = (numbers: readonly number[]) => numbers.flatMap((number) => estate.known[number] ?? []);
    this.#known = numbered(known);
    this.#digests = [...numbered('token' in own ? [own.token] : []), ...this.#known].map(
      ({ digest }) => digest,
    );
    this.#usernames = 'token' in own ? [GHOST] : [own.certificateOf, GHOST];
    this.#atHand = this.#of(estate.atFirst);
  }

  /** atHand are the credentials that there are, with the caller's own first. */
  async atHand(): Promise<Presented[]> {
    this.#atHand ??= this.#of(await this.#estate.present(this.#digests, this.#usernames));
    return this.#atHand;
  }

  /** call makes a call as the service would let it be made, and keeps what it returns. */
  async call(choice: Choice, caller: Presented['caller']): Promise<void> {
    const { method } = choice;
    const handler = this.#estate.handlers[method];
    if (handler === undefined || !holds(caller.scopes, handler.permission)) return;
    const make = REQUESTS[method] as (aim: Aim, choice: Choice) => RequestOf<MutatingMethod>;
    const request = decodeRequest(method, encodeRequest(method, make(this.#aim(choice), choice)));
    try {
      this.#keep(await handler.handle(request as never, caller));
      this.#atHand = undefined;
    } catch (error) {
      if (!(error instanceof KeywardError) || FAULTS.has(error.reason)) throw error;
    }
  }

  #of(present: ReadonlyMap<string, Presented>): Presented[] {
    return [...this.#usernames, ...this.#digests].flatMap((name) => present.get(name) ?? []);
  }

  #aim({ method, target, aims, other }: Choice): Aim {
    this.#names += 1;
    const { tokens, users, profiles, accounts } = this.#pools;
    const known = aims ? this.#known[target % this.#known.length] : undefined;
    return {
      token: known?.tokenId ?? pick(tokens, target),
      user: known?.userId ?? pick(users, target),
      profile: pick(profiles, other),
      account: method === 'updateAccount' && known ? known.accountId : pick(accounts, other),
      newName: `made-${this.#names}`,
    };
  }

  #keep(response: object): void {
    const made = response as {
      plaintext?: string;
      token?: { id: bigint; owner?: { userId: bigint; accountId: bigint } };
      user?: { id: bigint };
      userProfile?: { id: bigint };
      account?: { id: bigint };
    };
    const keep = (pool: bigint[], thing: { id: bigint } | undefined): void => {
      if (thing !== undefined && !pool.includes(thing.id)) pool.push(thing.id);
    };
    keep(this.#pools.tokens, made.token);
    keep(this.#pools.users, made.user);
    keep(this.#pools.profiles, made.userProfile);
    keep(this.#pools.accounts, made.account);
    if (made.plaintext === undefined || made.token === undefined) return;
    const digest = digestHex(digestOf(made.plaintext));
    this.#digests.push(digest);
    const { id: tokenId, owner } = made.token;
    const { userId = 0n, accountId = 0n } = owner ?? {};
    this.#known.push({ digest, tokenId, userId, accountId, name: 'made' });
  }
}

/** attempt makes the calls of a sequence, and tells what the caller gained by them; undefined if nothing. */
export function attempt(estate: Estate, sequence: Sequence): Promise<string | undefined> {
  return estate.undone(async () => {
    const now = Date.now() / 1000;
    const trying = new Attempt(estate, sequence);
    const before = await trying.atHand();
    for (const choice of sequence.calls) {
      const { permission = '' } = estate.handlers[choice.method] ?? {};
      const usable = (await trying.atHand()).filter(
        ({ credential }) => passes(credential, now) && holds(credential.scopes, permission),
      );
      const presented = usable[choice.credential] ?? usable[0];
      if (presented !== undefined) await trying.call(choice, presented.caller);
    }
    const after = await trying.atHand();
    return after === before ? undefined : excess(estate, before, after, now);
  });
}

/** Rise is a caller who gives out tokens of others, and a superuser who then gives these others rights. */
export interface Rise {
  readonly own: number;
  readonly known: readonly number[];
  readonly steps: readonly (
    { readonly by: 'caller'; readonly choice: Choice } | { readonly by: 'superuser'; readonly choice: Choice }
  )[];
}

export function rises({ known }: Estate): fc.Arbitrary<Rise> {
  const issuing = choices('createToken', 'cloneToken', 'rotateToken', 'activateToken', 'updateToken');
  const token = fc.nat(known.length - 1);
  return fc.record({
    own: token,
    known: fc.uniqueArray(token, { maxLength: 4 }),
    steps: fc.array(
      fc.oneof(
        fc.record({ by: fc.constant('caller' as const), choice: issuing }),
        fc.record({ by: fc.constant('superuser' as const), choice: promotions }),
      ),
      { minLength: 2, maxLength: 4 },
    ),
  });
}

/** rise tells what the caller gained by rights that the superuser gave to others, but never to the caller. */
export function rise(estate: Estate, { own, known, steps }: Rise): Promise<string | undefined> {
  return estate.undone(async () => {
    const now = Date.now() / 1000;
    const root = estate.atFirst.get('root');
    const trying = new Attempt(estate, { own: { token: own }, known });
    const before = await trying.atHand();
    const self = before[0]?.caller.userId;
    for (const { by, choice } of steps) {
      const [mine] = await trying.atHand();
      const caller = by === 'caller' ? mine : root;
      if (caller === undefined || (by === 'caller' && !passes(caller.credential, now))) continue;
      if (by === 'caller') await trying.call(choice, caller.caller);
      else await trying.call(choice, { ...caller.caller, scopes: ['*'] });
    }
    const after = await trying.atHand();
    const ofOthers = after.filter(({ caller }) => caller.userId !== self);
    // The caller may have been given rights too: whoever has them may use them.
    return excess(
      estate,
      [...before, ...after.filter(({ caller }) => caller.userId === self)],
      ofOthers,
      now,
    );
  });
}

async function excess(
  estate: Estate,
  before: readonly Presented[],
  after: readonly Presented[],
  now: number,
): Promise<string | undefined> {
  const credentials = (presented: readonly Presented[]): Credential[] =>
    presented.map(({ credential }) => credential);
  return gained(credentials(before), credentials(after), await estate.places(), now);
}

/** Settings of the model tests: MODEL_SEQUENCES and MODEL_SEED. */
export const NUM_RUNS = extent('MODEL_SEQUENCES', 100, 2_000);
export const SEED = Number(process.env['MODEL_SEED'] ?? randomInt(2 ** 31));

function pick(pool: readonly bigint[], number: number): bigint {
  return pool[number % pool.length] ?? 0n;
}

function chosen(paths: readonly string[], mask: number): string[] {
  return paths.filter((_, index) => mask & (1 << index));
}
