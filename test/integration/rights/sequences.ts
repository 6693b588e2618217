import { randomInt } from 'node:crypto';
import fc from 'fast-check';
import { KeywardError } from '../../../src/lib/errors.js';
import { digestHex, digestOf } from '../../../src/crypto/digest.js';
import { extent } from '../../support/extent.js';
import { encodeRequest, decodeRequest, type RequestOf } from '../../support/rpc.js';
import { choices, MUTATING_METHODS, REQUESTS, type Aim, type Choice, type MutatingMethod } from './calls.js';
import { GHOST, type Names } from './documents.js';
import { BY_REQUEST, type Estate, type Known, type Pools, type TestHandler } from './estate.js';
import type { Presented } from './presented.js';
import { gained, holds, passes, type Credential, type Vault } from './oracle.js';

/** Sequence is what one caller does, and what they know when they begin. */
export interface Sequence {
  /** The caller's own credential: a token's plaintext, or the certificate of a user. */
  readonly own: { readonly token: number } | { readonly certificateOf: string };
  readonly known: readonly number[];
  readonly calls: readonly Choice[];
}

const FAULTS: ReadonlySet<string> = new Set(['DATABASE_UNAVAILABLE', 'CONFLICT', 'INVALID_FIELDS']);

/** isFault: a document of a secret that the caller may not read is one of a new secret, and lacks its value. */
function isFault({ reason, violations }: KeywardError): boolean {
  const isUnseen =
    violations.length > 0 && violations.every(({ field }) => field.endsWith('.spec.valueFrom'));
  return FAULTS.has(reason) && !isUnseen;
}
const CERTIFIED = ['root', 'staff-platform', 'staff-a', 'plain-a', 'off', 'nowhere', GHOST];

/** By these, tokens can gain: they are tried more often than those that only take. */
const GIVING_TOKENS: readonly MutatingMethod[] = [
  'createToken',
  'updateToken',
  'updateToken',
  'cloneToken',
  'transferToken',
  'transferToken',
  'activateToken',
  'toggleToken',
  'rotateToken',
  'applyManifest',
];
/** By these, values can reach others. */
const GIVING_VALUES: readonly MutatingMethod[] = ['transferSecret', 'cloneSecret', 'grantAccess'];
const GIVING_OWNERS: readonly MutatingMethod[] = [
  'updateAccount',
  'createUser',
  'updateUser',
  'updateUser',
  'createUserProfile',
];

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
      { weight: 1, arbitrary: named(/^(root|boss|staff-\S+) documents$/) },
      { weight: 2, arbitrary: named(/^(staff|plain)-\S+ (secrets|writes)$/) },
      { weight: 1, arbitrary: fc.record({ token }) },
      { weight: 1, arbitrary: fc.record({ certificateOf: fc.constantFrom(...CERTIFIED) }) },
    ),
    known: fc.uniqueArray(token, { minLength: 1, maxLength: 2 }),
    calls: fc.array(
      fc.oneof(
        choices(...GIVING_TOKENS),
        choices(...GIVING_OWNERS),
        choices(...GIVING_VALUES),
        choices(...MUTATING_METHODS),
      ),
      {
        minLength: 1,
        maxLength: 3,
        size: 'max',
      },
    ),
  });
}

const NO_NAMES: Names = { token: null, secret: null, user: null, account: null, profile: null };

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
  /** Of copies of secrets, by their numbers, those whose values they have. */
  readonly #originals = new Map<string, string>();
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

  /** vaults are the secrets that there are. */
  vaults(): Promise<Vault[]> {
    return this.#estate.vaultsNow(this.#originals);
  }

  /** call makes a call as the service would let it be made, and keeps what it returns. */
  async call(choice: Choice, caller: Presented['caller']): Promise<void> {
    const { method } = choice;
    const handler = this.#estate.handlers[method];
    if (handler === undefined) return;
    if (!neededBy(handler).every((scope) => holds(caller.scopes, scope))) return;
    const make = REQUESTS[method] as (aim: Aim, choice: Choice) => RequestOf<MutatingMethod>;
    const aim = await this.#aim(choice);
    const request = decodeRequest(method, encodeRequest(method, make(aim, choice)));
    try {
      this.#keep(await handler.handle(request as never, caller), aim);
      this.#atHand = undefined;
    } catch (error) {
      if (!(error instanceof KeywardError) || isFault(error)) throw error;
    }
  }

  #of(present: ReadonlyMap<string, Presented>): Presented[] {
    return [...this.#usernames, ...this.#digests].flatMap((name) => present.get(name) ?? []);
  }

  async #aim({ method, target, aims, other }: Choice): Promise<Aim> {
    this.#names += 1;
    const { tokens, users, profiles, accounts, secrets } = this.#pools;
    const known = aims ? this.#known[target % this.#known.length] : undefined;
    const aim = {
      token: known?.tokenId ?? pick(tokens, target),
      user: known?.userId ?? pick(users, target),
      profile: pick(profiles, other),
      account: method === 'updateAccount' && known ? known.accountId : pick(accounts, other),
      secret: pick(secrets, target),
    };
    const names = method === 'applyManifest' ? await this.#estate.names(aim) : NO_NAMES;
    return { ...aim, newName: `made-${this.#names}`, names };
  }

  #keep(response: object, { secret }: Aim): void {
    const made = response as {
      plaintext?: string;
      token?: { id: bigint; owner?: { userId: bigint; accountId: bigint } };
      user?: { id: bigint };
      userProfile?: { id: bigint };
      account?: { id: bigint };
      secret?: { id: bigint };
      documents?: readonly { plaintext: string }[];
    };
    const keep = (pool: bigint[], thing: { id: bigint } | undefined): void => {
      if (thing !== undefined && !pool.includes(thing.id)) pool.push(thing.id);
    };
    keep(this.#pools.tokens, made.token);
    keep(this.#pools.users, made.user);
    keep(this.#pools.profiles, made.userProfile);
    keep(this.#pools.accounts, made.account);
    keep(this.#pools.secrets, made.secret);
    for (const { plaintext } of made.documents ?? []) if (plaintext !== '') this.#learn(plaintext);
    if (made.secret !== undefined && made.secret.id !== secret) {
      const original = String(secret);
      this.#originals.set(String(made.secret.id), this.#originals.get(original) ?? original);
    }
    if (made.plaintext === undefined || made.token === undefined) return;
    const digest = this.#learn(made.plaintext);
    const { id: tokenId, owner } = made.token;
    const { userId = 0n, accountId = 0n } = owner ?? {};
    this.#known.push({ digest, tokenId, userId, accountId, name: 'made' });
  }

  #learn(plaintext: string): string {
    const digest = digestHex(digestOf(plaintext));
    this.#digests.push(digest);
    return digest;
  }
}

/** attempt makes the calls of a sequence, and tells what the caller gained by them; undefined if nothing. */
export function attempt(estate: Estate, sequence: Sequence): Promise<string | undefined> {
  return estate.undone(async () => {
    const now = Date.now() / 1000;
    const trying = new Attempt(estate, sequence);
    const before = await trying.atHand();
    for (const choice of sequence.calls) {
      const needed = neededBy(estate.handlers[choice.method]);
      const usable = (await trying.atHand()).filter(
        ({ credential }) =>
          passes(credential, now) && needed.every((scope) => holds(credential.scopes, scope)),
      );
      const presented = usable[choice.credential] ?? usable[0];
      if (presented !== undefined) await trying.call(choice, presented.caller);
    }
    const after = await trying.atHand();
    return after === before ? undefined : excess(estate, trying, before, after, now);
  });
}

/** neededBy are the scopes that a method demands. */
function neededBy(handler: TestHandler | undefined): readonly string[] {
  if (handler === undefined) return [];
  return [handler.permission, ...(handler.alsoNeeds ?? [])].filter((scope) => scope !== BY_REQUEST);
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
  const issuing = choices(
    'createToken',
    'cloneToken',
    'rotateToken',
    'activateToken',
    'updateToken',
    'transferToken',
  );
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
      trying,
      [...before, ...after.filter(({ caller }) => caller.userId === self)],
      ofOthers,
      now,
    );
  });
}

async function excess(
  estate: Estate,
  trying: Attempt,
  before: readonly Presented[],
  after: readonly Presented[],
  now: number,
): Promise<string | undefined> {
  const credentials = (presented: readonly Presented[]): Credential[] =>
    presented.map(({ credential }) => credential);
  const hadBefore = { credentials: credentials(before), vaults: estate.vaults };
  const hasNow = { credentials: credentials(after), vaults: await trying.vaults() };
  return gained(hadBefore, hasNow, await estate.places(), now);
}

/** Settings of the model tests: MODEL_SEQUENCES and MODEL_SEED. */
export const NUM_RUNS = extent('MODEL_SEQUENCES', 100, 2_000);
export const SEED = Number(process.env['MODEL_SEED'] ?? randomInt(2 ** 31));

function pick(pool: readonly bigint[], number: number): bigint {
  return pool[number % pool.length] ?? 0n;
}
