import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Caller } from '../../authz/caller.js';
import type { CallerRightsReader } from '../../authz/rights.js';
import type { AuditEntry, AuditLog } from '../../audit/audit-log.js';
import type { RefusalLog } from '../../audit/refusal-log.js';
import type { Keyring } from '../../crypto/keyring.js';
import { reading } from '../../db/transaction.js';
import { Batcher } from '../../lib/batcher.js';
import type { Clock } from '../../lib/clock.js';
import { databaseUnavailable, KeywardError, notFound } from '../../lib/errors.js';
import { presentOf, type Instant } from '../../lib/instant.js';
import { requireFit } from '../../lib/page-size.js';
import { TimedOut, within, type Timers } from '../../lib/timers.js';
import type { AccessQuery, AccessRepository, AccessTime } from './access-repository.js';
import type { AccessTimes } from './access-times.js';
import { judgeAccess, type AccessedSecret, type AccessFacts, type Wanted } from './access.js';
import type { BindingService } from '../binding/binding-service.js';
import { openValue, type Unbound } from '../sealed-value.js';
import { attemptOf, doneBy, isRefusal, refusedTo, type Done } from '../secret-audit.js';
import { ableTo, theOnly, type SecretFinder } from '../secret-finder.js';
import type { SecretRef } from '../secret-ref.js';

/** AccessRequest names a value. */
export interface AccessRequest extends Wanted {
  readonly ref: SecretRef;
  /** Whether to leave the secret's time of last access as it is. */
  readonly skipAccessTime: boolean;
}

export interface AccessServiceDependencies {
  readonly accesses: Pick<AccessRepository, 'facts'>;
  readonly finder: SecretFinder;
  readonly rightsReader: CallerRightsReader;
  readonly keyring: Keyring;
  readonly bindings: Pick<BindingService, 'unbound'>;
  readonly audit: Pick<AuditLog, 'append'>;
  readonly refusals: Pick<RefusalLog, 'add'>;
  readonly times: AccessTimes;
  readonly clock: Clock;
  readonly timers: Timers;
  /** Milliseconds that an access may take in all. */
  readonly limitMs: number;
}

/** Decision is what an access leads to, once it is recorded. */
interface Decision {
  readonly result: AccessedSecret | KeywardError;
  readonly entry: AuditEntry;
  readonly request: AccessRequest;
  /** undefined where the time of the last access stays as it is. */
  readonly accessTime: AccessTime | undefined;
}

type NamedRef = Extract<SecretRef, { readonly by: 'account' }>;

/** Many small reads are one; with values of the largest size it is still a few megabytes. */
const MAX_TOGETHER = 64;

/** What an answer takes besides its value, and what one takes that tells why there is none. */
const VALUE_FRAME = 40;
const REFUSAL_BYTES = 5_400;

/**
 * AccessService gives values to those who may have them. Rights and ciphertext are read from the database for every
 * call: what is taken back is gone for every call that begins after that. A value leaves only when the record that
 * it did is durable; what is refused is recorded as well.
 *
 * An access asks more than once, and waits each time for what others have asked just before: whatever that adds up to,
 * it ends with DATABASE_UNAVAILABLE where it takes longer than a statement may.
 */
export class AccessService {
  readonly #deps: AccessServiceDependencies;
  readonly #reading: Batcher<AccessQuery, AccessFacts>;

  constructor(deps: AccessServiceDependencies) {
    this.#deps = deps;
    this.#reading = new Batcher((queries) => deps.accesses.facts(queries), { maxItems: MAX_TOGETHER });
  }

  access(caller: Caller, request: AccessRequest): Promise<AccessedSecret> {
    return this.#inTime(this.#access(caller, request));
  }

  async #access(caller: Caller, request: AccessRequest): Promise<AccessedSecret> {
    const ref = await this.#resolve(caller, request.ref);
    const unbound = await this.#deps.bindings.unbound();
    const found = ref instanceof KeywardError ? ref : await this.#reading.add(queryOf(caller, ref, request));
    const result = await this.#deliver(this.#decide(caller, request, found, unbound));
    if (result instanceof KeywardError) throw result;
    return result;
  }

  /**
   * accessMany answers each request as `access` would, in their order; the errors of some leave the others. Where the
   * answers take more than a message may, it is ANSWERS_TOO_LARGE, and no value was accessed.
   */
  accessMany(caller: Caller, requests: readonly AccessRequest[]): Promise<(AccessedSecret | KeywardError)[]> {
    return this.#inTime(this.#accessMany(caller, requests));
  }

  async #accessMany(
    caller: Caller,
    requests: readonly AccessRequest[],
  ): Promise<(AccessedSecret | KeywardError)[]> {
    const refs = await this.#resolveAll(caller, requests);
    const queries = requests.flatMap((request, index) => {
      const ref = refs[index];
      return ref === undefined || ref instanceof KeywardError ? [] : [queryOf(caller, ref, request)];
    });
    const unbound = await this.#deps.bindings.unbound();
    const facts = (queries.length === 0 ? [] : await this.#deps.accesses.facts(queries)).values();
    const allFound = refs.map((ref) => (ref instanceof KeywardError ? ref : next(facts)));
    const now = presentOf(this.#deps.clock);
    requireFit(requests.map((request, index) => answerBytes(allFound[index], request, now)));
    const decisions: Decision[] = [];
    for (const [index, request] of requests.entries()) {
      const found = allFound[index] ?? notFound('secret');
      decisions.push(this.#decide(caller, request, found, unbound));
      // Decrypting a hundred large values at once would keep all other calls waiting.
      await nextTurn();
    }
    const results = await Promise.all(decisions.map((each) => this.#deliver(each).catch(errorOf)));
    const refused = results.find((result) => isAboutCaller(result));
    if (refused instanceof KeywardError) throw refused;
    return results;
  }

  /** recordMissingScope records a call that was refused before its request was looked at. */
  recordMissingScope(caller: Caller): Promise<void> {
    const tried: Done = { action: 'SECRET_ACCESSED' };
    return this.#deps.refusals.add(refusedTo(caller, tried, 'SCOPE_MISSING', undefined), '');
  }

  async #inTime<T>(access: Promise<T>): Promise<T> {
    const { timers, limitMs } = this.#deps;
    try {
      return await within(timers, limitMs, 'an access', access);
    } catch (error) {
      throw error instanceof TimedOut ? databaseUnavailable({ cause: error }) : error;
    }
  }

  /** #decide decides and decrypts. The value must not leave before it is recorded. */
  #decide(
    caller: Caller,
    request: AccessRequest,
    found: AccessFacts | KeywardError,
    unbound: Unbound,
  ): Decision {
    const now = presentOf(this.#deps.clock);
    if (found instanceof KeywardError) return refusal(caller, request, found, undefined, {});
    const detail = detailOf(found);
    try {
      const { secret, version, until } = judgeAccess(found, request, now);
      const place = { secretId: secret.id, number: version.number };
      const payload = openValue(this.#deps.keyring, place, version, unbound);
      return {
        result: { secretId: secret.id, version: version.number, payload, until },
        entry: doneBy(caller, { action: 'SECRET_ACCESSED', detail }, secret),
        request,
        accessTime: request.skipAccessTime ? undefined : { secretId: secret.id, at: now },
      };
    } catch (error) {
      if (!isRefusal(error)) throw error;
      return refusal(caller, request, error, found.secret, detail);
    }
  }

  /** #deliver records, and only then gives the result. */
  async #deliver({ result, entry, request, accessTime }: Decision): Promise<AccessedSecret | KeywardError> {
    const { audit, refusals, times } = this.#deps;
    const recorded =
      result instanceof KeywardError
        ? refusals.add(entry, attemptOf(request.ref, request.version))
        : audit.append(entry);
    await Promise.all([recorded, accessTime && times.add(accessTime)]);
    return result;
  }

  /** #resolve finds the one secret that a name in a whole account means to the caller. */
  async #resolve(caller: Caller, ref: SecretRef): Promise<AccessQuery['ref'] | KeywardError> {
    if (ref.by !== 'account') return ref;
    return (await this.#resolveNames(caller, [ref]))[0] ?? notFound('secret');
  }

  async #resolveAll(
    caller: Caller,
    requests: readonly AccessRequest[],
  ): Promise<(AccessQuery['ref'] | KeywardError)[]> {
    const names = requests.flatMap(({ ref }) => (ref.by === 'account' ? [ref] : []));
    const resolved = (names.length === 0 ? [] : await this.#resolveNames(caller, names)).values();
    return requests.map(({ ref }) => (ref.by === 'account' ? next(resolved) : ref));
  }

  #resolveNames(
    caller: Caller,
    refs: readonly NamedRef[],
  ): Promise<({ readonly by: 'id'; readonly id: bigint } | KeywardError)[]> {
    const { rightsReader, finder } = this.#deps;
    return reading(async () => {
      const all = await finder.findNamedFor(await rightsReader.of(caller), refs);
      return refs.map(({ accountNumber, name }) => {
        const found = all.filter(
          ({ secret }) => secret.owner.accountNumber === accountNumber && secret.name === name,
        );
        try {
          const { secret } = theOnly(ableTo('access', found));
          return { by: 'id', id: secret.id };
        } catch (error) {
          if (error instanceof KeywardError) return error;
          throw error;
        }
      });
    });
  }
}

function queryOf({ userId }: Caller, ref: AccessQuery['ref'], { version }: AccessRequest): AccessQuery {
  return { userId, ref, version };
}

function detailOf({ version }: AccessFacts): Readonly<Record<string, string>> {
  return version === undefined ? {} : { version: String(version.number) };
}

/** answerBytes is the most that an answer takes: a value is shorter than its ciphertext, by a quarter at least. */
function answerBytes(
  found: AccessFacts | KeywardError | undefined,
  request: AccessRequest,
  now: Instant,
): number {
  if (found === undefined || found instanceof KeywardError) return REFUSAL_BYTES;
  try {
    const { version } = judgeAccess(found, request, now);
    return VALUE_FRAME + Math.ceil((version.ciphertext.length * 3) / 4);
  } catch (error) {
    if (!isRefusal(error)) throw error;
    return REFUSAL_BYTES;
  }
}

function refusal(
  caller: Caller,
  request: AccessRequest,
  error: KeywardError,
  secret: AccessFacts['secret'],
  known: Readonly<Record<string, string>>,
): Decision {
  const isLost = error.reason === 'SECRET_UNDECRYPTABLE';
  const detail = isLost ? { ...known, ...error.metadata } : known;
  const entry = refusedTo(caller, { action: 'SECRET_ACCESSED', detail }, error.reason, secret);
  return { result: error, entry, request, accessTime: undefined };
}

/** errorOf makes an answer of an error that concerns one request of a batch. */
function errorOf(error: unknown): KeywardError {
  if (error instanceof KeywardError) return error;
  throw error;
}

/** isAboutCaller tells an error that all requests of a batch share. */
function isAboutCaller(result: AccessedSecret | KeywardError): boolean {
  return result instanceof KeywardError && result.reason === 'CREDENTIALS_REFUSED';
}

function next<T>(values: Iterator<T, undefined>): T {
  const { value } = values.next();
  if (value === undefined) throw new Error('there are fewer answers than requests');
  return value;
}
