import type { KeywardClient } from '../connect.js';
import { TokenServiceDefinition, type ValidateTokenResponse } from '../gen/keyward/token/v1/token_service.js';
import type { Holding, HoldingUser } from '../holding/holding.js';
import type { Entry } from '../memory/entry.js';
import { refusal, type Verdict, type VerdictReason } from '../memory/verdict.js';
import { MAX_NAMED, type Answer, type Forgotten, type VerdictMemory } from '../memory/verdict-memory.js';
import { canBeToken, digestOf } from '../texts.js';
import { invalidRequest } from '../transport/call-error.js';
import { wireMethod } from '../transport/definitions.js';
import { checkOptions, FUNCTION, TEXT, wholeNumber, type Rules } from '../transport/options.js';

const VALIDATE = wireMethod(TokenServiceDefinition, TokenServiceDefinition.methods.validateToken);
const MAX_SCOPES = 64;
const SCOPE = /^[a-z0-9_.:/*-]{1,128}$/;
/** How long the answer to a look-up may take before the question is asked by a call of its own. */
const LOOK_UP_MS = 2_000;
/** More look-ups at a time are made by calls of their own. */
const MAX_LOOK_UPS = 2_000;

export interface ValidatorOptions {
  /**
   * What people call this program, in metrics and `keyward status`: 1 to 63 of `[A-Za-z0-9_.:/-]`; `node` if not given. Validators
   * and readers of one client have one label.
   */
  readonly label?: string;
  /** Tokens to hold at most: 1 to 10000, 10000 if not given. The replica may set a lower limit. */
  readonly maxEntries?: number;
  /**
   * Is told of each bound text that does not pass any more, as soon as that is known: to end the connection that it was
   * bound for. Scopes are not looked at.
   */
  readonly onRevoked?: (bound: BoundText, verdict: Verdict) => void;
}

export interface ValidateOptions {
  /** Scopes that the token must hold to pass, at most 64. */
  readonly scopes?: readonly string[];
  /** Ends the wait; it then fails with the signal's reason. */
  readonly signal?: AbortSignal;
}

/** BoundText is a text that a connection presents again and again: it is hashed once. */
export interface BoundText {
  validate(options?: ValidateOptions): Promise<Verdict>;
  /** validateCached is as that of the validator. */
  validateCached(options?: ValidateOptions): Verdict | undefined;
  /** release is called when the connection ends. */
  release(): void;
}

/** ValidatorCounts are how often verdicts were given, by where they came from. */
export interface ValidatorCounts {
  memory: number;
  /** By the stream that the memory is kept right by. */
  lookUp: number;
  /** By a call of its own: there was no lease. */
  call: number;
}

/** Validator judges texts in this process. No verdict contradicts a change that was complete before it was asked for. */
export interface Validator {
  /** @throws KeywardCallError if nobody can tell; that is never a verdict */
  validate(text: string, options?: ValidateOptions): Promise<Verdict>;
  /** validateCached judges without waiting; undefined if memory may not, or cannot, tell. */
  validateCached(text: string, options?: ValidateOptions): Verdict | undefined;
  bind(text: string): BoundText;
  /** Whether memory answers at present. */
  readonly isLeased: boolean;
  /** Tokens that are held. */
  readonly size: number;
  readonly counts: Readonly<ValidatorCounts>;
  /**
   * close ends its part in the memory of the client, and forgets everything unless others use that. The client stays open.
   */
  close(): void;
}

/**
 * createValidator makes a validator, which holds what it was asked for under a lease of the service. The client's token needs the scope
 * `keyward.tokens.cache` for that; with `keyward.tokens.validate` alone every verdict is a call.
 *
 * @throws Error if an option is none, or out of its range
 */
export function createValidator(client: KeywardClient, options: ValidatorOptions = {}): Validator {
  return new HoldingValidator(client, options);
}

const RULES: Rules<ValidatorOptions> = {
  label: TEXT,
  maxEntries: wholeNumber(MAX_NAMED),
  onRevoked: FUNCTION,
};

class HoldingValidator implements Validator, HoldingUser {
  readonly counts: ValidatorCounts = { memory: 0, lookUp: 0, call: 0 };
  readonly label: string | undefined;
  readonly wanted: HoldingUser['wanted'];
  readonly #client: KeywardClient;
  readonly #holding: Holding;
  readonly #memory: VerdictMemory;
  readonly #bound = new Set<Bound>();
  readonly #onRevoked: ValidatorOptions['onRevoked'];

  constructor(client: KeywardClient, options: ValidatorOptions) {
    checkOptions('createValidator', options, RULES);
    const { label, maxEntries = MAX_NAMED, onRevoked } = options;
    this.label = label;
    this.wanted = { maxEntries, maxSecrets: 0 };
    this.#client = client;
    this.#holding = client.holding;
    this.#memory = this.#holding.memory;
    this.#onRevoked = onRevoked;
    this.#holding.join(this);
  }

  get isLeased(): boolean {
    return this.#memory.isLeased;
  }

  get size(): number {
    return this.#memory.size;
  }

  async validate(text: string, options: ValidateOptions = {}): Promise<Verdict> {
    if (!canBeToken(text)) return refusal('UNKNOWN', '');
    const key = this.#holding.keys.of(text);
    return this.judgeCached(this.#memory.entryOf(key), options) ?? this.ask(text, key, options);
  }

  validateCached(text: string, options: ValidateOptions = {}): Verdict | undefined {
    if (!canBeToken(text)) return refusal('UNKNOWN', '');
    return this.judgeCached(this.#memory.entryOf(this.#holding.keys.of(text)), options);
  }

  bind(text: string): BoundText {
    const bound = new Bound(this, text, this.#holding.keys.of(text));
    if (this.#onRevoked !== undefined) this.#bound.add(bound);
    return bound;
  }

  close(): void {
    this.#bound.clear();
    this.#holding.leave(this);
  }

  forgotten({ forgotten }: Forgotten): void {
    if (this.#bound.size > 0) this.#judgeBoundAgain(forgotten);
  }

  release(bound: Bound): void {
    this.#bound.delete(bound);
  }

  entryOf(key: string): Entry | undefined {
    return this.#memory.entryOf(key);
  }

  judgeCached(entry: Entry | undefined, options: ValidateOptions): Verdict | undefined {
    const scopes = scopesOf(options);
    const verdict = entry && this.#memory.judgeEntry(entry, scopes);
    if (verdict !== undefined) this.counts.memory += 1;
    return verdict;
  }

  /** ask asks a replica: by the stream, so that the answer is held, or by a call. */
  async ask(text: string, key: string, options: ValidateOptions): Promise<Verdict> {
    const { signal } = options;
    const scopes = scopesOf(options);
    signal?.throwIfAborted();
    const answer = await this.#lookUp(text, key);
    signal?.throwIfAborted();
    if (answer !== undefined && 'judge' in answer) {
      this.counts.lookUp += 1;
      return answer.judge(scopes);
    }
    const request = { token: text, requiredScopes: [...scopes] };
    const call = signal === undefined ? {} : { signal };
    const response = await this.#client.transport.unary(VALIDATE, request, call);
    this.counts.call += 1;
    return verdictOf(response);
  }

  #lookUp(text: string, key: string): Promise<Answer | undefined> {
    const { session } = this.#holding;
    if (session === undefined || this.#memory.lookingUp >= MAX_LOOK_UPS) return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), LOOK_UP_MS);
      const settle = (answer: Answer | undefined): void => {
        clearTimeout(timer);
        resolve(answer);
      };
      const asked = this.#memory.lookUp(session.stream, key, () => digestOf(text), settle);
      if (asked !== undefined) session.lookUp(asked);
    });
  }

  /** judgeBoundAgain tells of those bound texts that are among the forgotten, and do not pass any more. */
  #judgeBoundAgain(forgotten: readonly Entry[]): void {
    const keys = new Set(forgotten.map(({ key }) => key));
    for (const bound of this.#bound) {
      if (!keys.has(bound.key)) continue;
      bound.validate().then(
        (verdict) => {
          if (!verdict.valid && this.#bound.delete(bound)) this.#onRevoked?.(bound, verdict);
        },
        // Nobody can tell. The next one who asks will be told so.
        () => undefined,
      );
    }
  }
}

class Bound implements BoundText {
  readonly key: string;
  readonly #validator: HoldingValidator;
  readonly #text: string;
  readonly #canBeToken: boolean;
  #entry: Entry | undefined;

  constructor(validator: HoldingValidator, text: string, key: string) {
    this.key = key;
    this.#validator = validator;
    this.#text = text;
    this.#canBeToken = canBeToken(text);
  }

  async validate(options: ValidateOptions = {}): Promise<Verdict> {
    return this.validateCached(options) ?? this.#validator.ask(this.#text, this.key, options);
  }

  validateCached(options: ValidateOptions = {}): Verdict | undefined {
    if (!this.#canBeToken) return refusal('UNKNOWN', '');
    if (this.#entry?.isHeld !== true) this.#entry = this.#validator.entryOf(this.key);
    return this.#validator.judgeCached(this.#entry, options);
  }

  release(): void {
    this.#validator.release(this);
  }
}

/**
 * scopesOf gives the scopes that a token must hold. An option that there is not may be `scopes` misspelt.
 *
 * @throws KeywardCallError (INVALID_ARGUMENT) for what the service would refuse
 */
function scopesOf(options: ValidateOptions): readonly string[] {
  for (const name in options)
    if (name !== 'scopes' && name !== 'signal')
      throw invalidRequest([{ field: name, rule: 'is no option: scopes, signal' }]);
  const { scopes = [] } = options;
  const isList: boolean = Array.isArray(scopes);
  if (!isList) throw invalidRequest([{ field: 'scopes', rule: 'must be a list' }]);
  if (scopes.length > 0) checkScopes(scopes);
  return scopes;
}

function checkScopes(scopes: readonly string[]): void {
  if (scopes.length <= MAX_SCOPES && scopes.every((scope) => SCOPE.test(scope))) return;
  const wrong = scopes.flatMap((scope, at) =>
    SCOPE.test(scope)
      ? []
      : [{ field: `scopes[${at}]`, rule: 'must be 1 to 128 characters of [a-z0-9_.:/*-]' }],
  );
  throw invalidRequest(
    scopes.length > MAX_SCOPES
      ? [{ field: 'scopes', rule: `must be at most ${MAX_SCOPES}` }, ...wrong]
      : wrong,
  );
}

const PREFIX = 'VERDICT_REASON_';

function verdictOf(response: ValidateTokenResponse): Verdict {
  const { valid, keyId, principal, name, scopes, expiresAt, stale } = response;
  // A reason that this version does not know is one to refuse.
  const isKnown = response.reason.startsWith(PREFIX);
  const reason = isKnown ? (response.reason.slice(PREFIX.length) as VerdictReason) : 'UNKNOWN';
  return { valid, reason, keyId, principal, name, scopes, expiresAt, stale };
}
