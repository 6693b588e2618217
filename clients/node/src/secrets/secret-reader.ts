import type { KeywardClient } from '../connect.js';
import { AccessSecretRequest, SecretServiceDefinition } from '../gen/keyward/secret/v1/secret_service.js';
import type { SecretSelector } from '../gen/keyward/secret/v1/secret.js';
import { MAX_SECRETS, type Holding, type HoldingUser } from '../holding/holding.js';
import type { Input } from '../input.js';
import { toJson } from '../json.js';
import { valueOf, type Accessed, type SecretValue } from '../memory/secret-shelf.js';
import type { Forgotten } from '../memory/verdict-memory.js';
import { checkedRequest } from '../requests.js';
import { KeywardCallError, statusError } from '../transport/call-error.js';
import { wireMethod } from '../transport/definitions.js';
import { checkOptions, TEXT, wholeNumber, YES_OR_NO, type Rules } from '../transport/options.js';
import { backoffMs } from '../transport/safety.js';
import { StatusCode } from '../transport/status-code.js';

const ACCESS = wireMethod(SecretServiceDefinition, SecretServiceDefinition.methods.accessSecret);
/** How long a value may take to come by the stream before it is asked for by a call. */
const ACCESS_MS = 2_000;
const DEFAULT_MAX = 100;
/** More questions at a time are asked by calls of their own. */
const MAX_ASKED = 100;
/** The longest wait before a value is read again that is not held. */
const MAX_WAIT_MS = 30_000;
/** With these it is not known whether there is a value. */
const PASSING: ReadonlySet<number> = new Set([
  StatusCode.UNAVAILABLE,
  StatusCode.DEADLINE_EXCEEDED,
  StatusCode.RESOURCE_EXHAUSTED,
  StatusCode.INTERNAL,
  StatusCode.UNAUTHENTICATED,
]);

export interface SecretReaderOptions {
  /**
   * What people call this program, in metrics and `keyward status`: 1 to 63 of `[A-Za-z0-9_.:/-]`; `node` if not given. Validators
   * and readers of one client have one label.
   */
  readonly label?: string;
  /** Whether values are kept in this process, under a lease. False if not given: each is fetched whenever it is asked for. */
  readonly keep?: boolean;
  /** Values to keep at most: 1 to 1000, 100 if not given. The replica may set a lower limit. */
  readonly maxSecrets?: number;
}

/** A secret, by its name among the caller's own, or by any selector. */
export type SecretName = string | Input<SecretSelector>;

/** ReadSecret is a value. */
export interface ReadSecret {
  readonly secretId: bigint;
  /** Which version it is, from 1. */
  readonly version: number;
  /** The value as text. */
  readonly text: string;
  readonly bytes: Uint8Array;
}

/** OnChange is told a new value, or why there is none any more. */
export type OnChange = (value: ReadSecret | undefined, error?: KeywardCallError) => void;

/** SecretReader gives values of secrets. */
export interface SecretReader {
  /** @throws KeywardCallError as AccessSecret */
  get(name: SecretName): Promise<ReadSecret>;
  /**
   * onChange hands the value over when it is another one, as soon as that is known, and what it is now to begin with. It needs `keep`.
   * It gives a function that ends it.
   */
  onChange(name: SecretName, told: OnChange): () => void;
  /** close overwrites what is kept, unless another reader of the client keeps values. The client stays open. */
  close(): void;
}

/**
 * createSecretReader makes a reader. With `keep` the client's token needs the scope `keyward.tokens.cache` besides.
 *
 * @throws Error if an option is none, or out of its range
 */
export function createSecretReader(client: KeywardClient, options: SecretReaderOptions = {}): SecretReader {
  return new HoldingReader(client, options);
}

const RULES: Rules<SecretReaderOptions> = {
  label: TEXT,
  keep: YES_OR_NO,
  maxSecrets: wholeNumber(MAX_SECRETS),
};

interface Watched {
  readonly name: SecretName;
  readonly told: OnChange;
  /** What was told last. */
  version: string;
  /** Whether it was read while there was no lease. */
  isByCall: boolean;
  /** How often it was begun to be read. An answer to any but the last may be older than what was told. */
  reads: number;
  attempts: number;
  retry: NodeJS.Timeout | undefined;
}

class HoldingReader implements SecretReader, HoldingUser {
  readonly label: string | undefined;
  readonly wanted: HoldingUser['wanted'];
  readonly #client: KeywardClient;
  readonly #holding: Holding | undefined;
  readonly #watched = new Set<Watched>();

  constructor(client: KeywardClient, options: SecretReaderOptions) {
    checkOptions('createSecretReader', options, RULES);
    const { keep = false, maxSecrets = DEFAULT_MAX, label } = options;
    this.label = label;
    this.wanted = { maxEntries: 0, maxSecrets };
    this.#client = client;
    if (!keep) return;
    this.#holding = client.holding;
    this.#holding.join(this);
  }

  async get(name: SecretName): Promise<ReadSecret> {
    const request = requestOf(name);
    const key = keyOf(request);
    const held = this.#holding?.memory.secrets.get(key);
    if (held !== undefined) return readSecret(held);
    const accessed = await this.#ask(key, request);
    if (accessed !== undefined && 'value' in accessed) return readSecret(accessed.value);
    if (accessed?.error !== undefined && !PASSING.has(accessed.error.code)) throw statusError(accessed.error);
    const response = await this.#client.transport.unary(ACCESS, request);
    return readSecret(valueOf(response));
  }

  onChange(name: SecretName, told: OnChange): () => void {
    if (this.#holding === undefined)
      throw new Error('onChange needs a reader that may keep values: { keep: true }');
    const watched: Watched = {
      name,
      told,
      version: '',
      isByCall: false,
      reads: 0,
      attempts: 0,
      retry: undefined,
    };
    this.#watched.add(watched);
    this.#read(watched);
    return () => {
      clearTimeout(watched.retry);
      this.#watched.delete(watched);
    };
  }

  close(): void {
    for (const { retry } of this.#watched) clearTimeout(retry);
    this.#watched.clear();
    this.#holding?.leave(this);
  }

  /** forgotten reads again what was forgotten, since it may be another value. */
  forgotten({ forgottenSecrets }: Forgotten): void {
    const keys = new Set(forgottenSecrets);
    for (const watched of this.#watched) if (keys.has(keyOf(requestOf(watched.name)))) this.#read(watched);
  }

  /** granted reads what was read while there was no lease: nobody tells of changes of it. */
  granted(): void {
    for (const watched of this.#watched) if (watched.isByCall) this.#read(watched);
  }

  #ask(key: string, request: AccessSecretRequest): Promise<Accessed | undefined> {
    const holding = this.#holding;
    const session = holding?.session;
    if (holding === undefined || session === undefined || holding.memory.secrets.asking >= MAX_ASKED)
      return Promise.resolve(undefined);
    return new Promise((resolve) => {
      const timer = setTimeout(() => resolve(undefined), ACCESS_MS);
      const access = holding.memory.secrets.access(session.stream, key, request, (accessed) => {
        clearTimeout(timer);
        resolve(accessed);
      });
      if (access !== undefined) session.send({ access });
    });
  }

  #read(watched: Watched): void {
    clearTimeout(watched.retry);
    watched.isByCall = false;
    const read = (watched.reads += 1);
    this.get(watched.name).then(
      (value) => {
        if (read !== watched.reads) return;
        this.#tell(watched, `${value.secretId}/${value.version}`, value);
        if (this.#isHeld(watched)) watched.attempts = 0;
        else this.#readLater(watched);
      },
      (error: unknown) => {
        if (read !== watched.reads) return;
        const failure = error instanceof KeywardCallError ? error : undefined;
        if (failure === undefined || !PASSING.has(failure.code))
          this.#tell(watched, failure?.codeName ?? '', undefined, failure);
        this.#readLater(watched);
      },
    );
  }

  #isHeld({ name }: Watched): boolean {
    return this.#holding?.memory.secrets.holds(keyOf(requestOf(name))) === true;
  }

  #tell(watched: Watched, version: string, value: ReadSecret | undefined, error?: KeywardCallError): void {
    if (!this.#watched.has(watched) || watched.version === version) return;
    watched.version = version;
    watched.told(value, error);
  }

  /** readLater reads again what is not held, and of whose changes nobody tells therefore. */
  #readLater(watched: Watched): void {
    if (!this.#watched.has(watched)) return;
    watched.isByCall = this.#holding?.session === undefined;
    const wait = backoffMs(watched.attempts, MAX_WAIT_MS);
    watched.attempts += 1;
    watched.retry = setTimeout(() => this.#read(watched), wait);
  }
}

function requestOf(name: SecretName): AccessSecretRequest {
  const secret = typeof name === 'string' ? { name } : name;
  return AccessSecretRequest.fromPartial(checkedRequest(ACCESS.path, { secret }));
}

function keyOf({ secret }: AccessSecretRequest): string {
  return JSON.stringify(toJson(secret));
}

/** readSecret is a copy: what is kept is overwritten when it is not valid any more. */
function readSecret({ secretId, version, bytes }: SecretValue): ReadSecret {
  const copy = Buffer.from(bytes);
  return { secretId, version, bytes: copy, text: copy.toString() };
}
