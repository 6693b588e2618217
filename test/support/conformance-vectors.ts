import { AccessSecretRequest } from '../../clients/node/src/gen/keyward/secret/v1/secret_service.js';
import {
  HoldAccessed,
  HoldFacts,
  HoldGrant,
  HoldInvalidation,
  HoldOpened,
} from '../../clients/node/src/gen/keyward/token/v1/hold_verdicts.js';
import type { Accessed } from '../../clients/node/src/memory/secret-shelf.js';
import { VerdictMemory, type Answer } from '../../clients/node/src/memory/verdict-memory.js';
import { Random } from './random.js';

/**
 * Sequences of what happens to a client's memory, with what it does: the memories of all languages must do the same. They are
 * random, and recorded from the memory of the Node client, which the simulation and the fault campaign hold against the protocol.
 */

const SEQUENCES = 60;
const STEPS = 90;
const EPOCHS = ['8f14e45f-ceea-467f-a0e6-10f3f7a5a6a1', '0cc175b9-c0f1-46b6-a831-c399e2697726'] as const;
const TEXTS = ['a', 'b', 'c', 'd', 'e'];
const SECRETS = ['s', 't', 'u'];
const LIMITS = { maxEntries: 3, maxSecrets: 2 };

type Step = Readonly<Record<string, unknown>> & { readonly do: string };

/** conformanceVectors gives the content of test/vectors/conformance.json, one sequence a line. */
export function conformanceVectors(): string {
  const sequences = Array.from({ length: SEQUENCES }, (_, seed) =>
    JSON.stringify(new Recorder(seed + 1).record()),
  );
  return `[\n${sequences.join(',\n')}\n]\n`;
}

/** Recorder lets random things happen to a memory, and writes down what it does. */
class Recorder {
  readonly #random: Random;
  #monotonicMs = 1_000_000;
  #wallMs = 1_700_000_000_000;
  readonly #memory = new VerdictMemory({
    clocks: { monotonicMs: () => this.#monotonicMs, wallMs: () => this.#wallMs },
    ...LIMITS,
  });
  readonly #steps: Step[] = [];
  /** Streams that have not ended, with the renewals and questions that are not answered on each. */
  readonly #streams = new Map<
    number,
    { renewals: bigint[]; ids: bigint[]; accesses: bigint[]; isOpen: boolean }
  >();
  readonly #textOf = new Map<bigint, string>();
  readonly #secretOf = new Map<bigint, string>();
  #answers: { readonly text: string; readonly gives: string | null }[] = [];
  #number = 0n;
  #revision = 0n;

  constructor(seed: number) {
    this.#random = new Random(seed);
  }

  record(): { readonly maxEntries: number; readonly maxSecrets: number; readonly steps: readonly Step[] } {
    this.#open();
    while (this.#steps.length < STEPS) this.#step();
    return { ...LIMITS, steps: this.#steps };
  }

  #step(): void {
    const streams = [...this.#streams.keys()];
    const stream = streams.length === 0 ? undefined : this.#random.pick(streams);
    const does = stream === undefined ? undefined : this.#streams.get(stream);
    const roll = this.#roll();
    if (roll < 0.1) this.#pass();
    else if (roll < 0.3) this.#judge();
    else if (roll < 0.38) this.#get();
    else if (stream === undefined || does === undefined || roll < 0.395) this.#open();
    else if (!does.isOpen) this.#opened(stream);
    else if (roll < 0.52) this.#lookUp(stream);
    else if (roll < 0.66) this.#facts(stream);
    else if (roll < 0.71) this.#access(stream);
    else if (roll < 0.77) this.#accessed(stream);
    else if (roll < 0.85) this.#renewal(stream);
    else if (roll < 0.93) this.#grant(stream);
    else if (roll < 0.99) this.#invalidate(stream);
    else this.#end(stream);
  }

  #pass(): void {
    const monotonic = this.#below(600);
    const wall = this.#roll() < 0.95 ? monotonic : this.#below(5_000) - 2_500;
    this.#monotonicMs += monotonic;
    this.#wallMs += wall;
    this.#write({ do: 'pass', monotonicMs: monotonic, wallMs: wall });
  }

  #open(): void {
    const { stream, open } = this.#memory.openStream();
    this.#streams.set(stream, { renewals: [], ids: [], accesses: [], isOpen: false });
    const { position, tokens, secretIds } = open;
    this.#write({
      do: 'open',
      stream,
      position: position === undefined ? null : `${position.epoch}/${position.revision}`,
      handles: sorted(tokens.flatMap(({ handles }) => handles)),
      owners: sorted(tokens.map(({ userProfileId }) => userProfileId)),
      secretIds: sorted(secretIds),
    });
  }

  #opened(stream: number): void {
    const message = HoldOpened.fromPartial({
      resumed: this.#roll() < 0.95,
      maxEntries: 2 + this.#below(4),
      maxSecrets: this.#below(4),
    });
    this.#of(stream).isOpen = true;
    const { forgotten, forgottenSecrets } = this.#memory.opened(message);
    this.#write({
      do: 'opened',
      message: encoded(HoldOpened.encode(message)),
      forgets: forgotten.length,
      forgetsSecrets: forgottenSecrets.length,
    });
  }

  #lookUp(stream: number): void {
    const text = this.#random.pick(TEXTS);
    const settle = (answer: Answer | undefined): void => {
      this.#answers.push({ text, gives: reasonOf(answer) });
    };
    // The digest tells which text is looked up once more.
    const sent = this.#memory.lookUp(stream, text, () => Buffer.from(text.padEnd(64)), settle);
    if (sent !== undefined) this.#isSent(stream, sent.id, text);
    this.#write({ do: 'lookUp', stream, text, id: sent === undefined ? null : String(sent.id) });
  }

  #isSent(stream: number, id: bigint, text: string): void {
    this.#of(stream).ids.push(id);
    this.#textOf.set(id, text);
  }

  #facts(stream: number): void {
    const ids = this.#of(stream).ids.splice(0, 1 + this.#below(2));
    if (ids.length === 0) return;
    const facts = ids.map((id) => this.#factOf(id));
    const message = HoldFacts.fromPartial({ facts });
    const again = this.#memory.facts(stream, message);
    for (const { id, digest } of again) this.#isSent(stream, id, digest.toString().trim());
    this.#write({
      do: 'facts',
      stream,
      message: encoded(HoldFacts.encode(message)),
      answers: this.#takeAnswers(),
      again: again.map(({ id }) => String(id)),
    });
  }

  #factOf(
    id: bigint,
  ): Parameters<typeof HoldFacts.fromPartial>[0]['facts'] extends readonly (infer Fact)[] | undefined
    ? Fact
    : never {
    const text = this.#textOf.get(id) ?? '';
    if (this.#roll() < 0.05) return { id, error: { code: 14, message: 'no database' } };
    if (this.#roll() < 0.1) return { id };
    const at = TEXTS.indexOf(text);
    const isActive = this.#roll() < 0.8;
    return {
      id,
      keep: this.#roll() < 0.9,
      known: true,
      // Two texts share a handle.
      handle: BigInt(Math.min(at, 3) + 1),
      keyId: `key-${Math.floor(at / 2)}`,
      principal: {
        userId: BigInt((at % 3) + 10),
        userProfileId: BigInt((at % 3) + 20),
        accountId: BigInt((at % 2) + 30),
      },
      scopes: this.#roll() < 0.5 ? ['*'] : ['orders:*'],
      isActive,
      userIsActive: true,
      accountIsActive: true,
      stale: this.#roll() < 0.05,
      ...(this.#roll() < 0.3 ? { expiresIn: this.#below(4_000) - 500 } : {}),
    };
  }

  #access(stream: number): void {
    const name = this.#random.pick(SECRETS);
    const settle = (accessed: Accessed | undefined): void => {
      this.#answers.push({ text: name, gives: valueIn(accessed) });
    };
    const sent = this.#memory.secrets.access(stream, name, AccessSecretRequest.fromPartial({}), settle);
    if (sent !== undefined) this.#isAsked(stream, sent.id, name);
    this.#write({ do: 'access', stream, name, id: sent === undefined ? null : String(sent.id) });
  }

  #isAsked(stream: number, id: bigint, name: string): void {
    this.#of(stream).accesses.push(id);
    this.#secretOf.set(id, name);
  }

  #accessed(stream: number): void {
    const id = this.#of(stream).accesses.shift();
    if (id === undefined) return;
    const name = this.#secretOf.get(id) ?? '';
    const secretId = BigInt(SECRETS.indexOf(name) + 1);
    const version = this.#below(9) + 1;
    const message = HoldAccessed.fromPartial(
      this.#roll() < 0.1
        ? { id, error: { code: 5, message: 'no secret' } }
        : {
            id,
            access: { secretId, version, payload: { text: `value ${version}` } },
            keep: this.#roll() < 0.9,
            ...(this.#roll() < 0.3 ? { expiresIn: this.#below(4_000) } : {}),
          },
    );
    const again = this.#memory.secrets.accessed(stream, message);
    if (again !== undefined) this.#isAsked(stream, again.id, name);
    this.#write({
      do: 'accessed',
      stream,
      message: encoded(HoldAccessed.encode(message)),
      answers: this.#takeAnswers(),
      again: again === undefined ? [] : [String(again.id)],
    });
  }

  #renewal(stream: number): void {
    const { number, released, uses, secretUses } = this.#memory.renewal(stream);
    this.#of(stream).renewals.push(number);
    this.#write({
      do: 'renewal',
      stream,
      number: String(number),
      released: sorted(released),
      uses: Object.fromEntries(uses.map(({ keyId, count, lastUsedAgo }) => [keyId, [count, lastUsedAgo]])),
      secretUses: Object.fromEntries(
        secretUses.map(({ secretId, count, lastUsedAgo }) => [String(secretId), [count, lastUsedAgo]]),
      ),
    });
  }

  #grant(stream: number): void {
    const number = this.#of(stream).renewals.shift();
    if (number === undefined) return;
    const message = HoldGrant.fromPartial({
      number,
      ...(this.#roll() < 0.9 ? { lease: 2_900 } : { refusal: 'HOLD_REFUSAL_REPLICA_HAS_NONE' }),
      ...(this.#roll() < 0.9 ? { position: this.#position() } : {}),
    });
    const granted = this.#memory.grant(stream, message);
    this.#write({ do: 'grant', stream, message: encoded(HoldGrant.encode(message)), granted });
  }

  #invalidate(stream: number): void {
    this.#number += 1n;
    const roll = this.#roll();
    const message = HoldInvalidation.fromPartial({
      number: this.#number,
      ...(roll < 0.04 ? { everything: true } : {}),
      ...(roll >= 0.04 && roll < 0.6 ? { handles: [BigInt(this.#below(4) + 1), 99n] } : {}),
      ...(roll >= 0.5 && roll < 0.65 ? { userProfileIds: [BigInt(this.#below(3) + 20)] } : {}),
      ...(roll >= 0.65 && roll < 0.7 ? { userIds: [BigInt(this.#below(3) + 10)] } : {}),
      ...(roll >= 0.7 && roll < 0.75 ? { accountIds: [BigInt(this.#below(2) + 30)] } : {}),
      ...(roll >= 0.75 && roll < 0.95 ? { secretIds: [BigInt(this.#below(3) + 1)] } : {}),
      ...(roll >= 0.95 ? { allSecrets: true } : {}),
      ...(this.#roll() < 0.9 ? { position: this.#position() } : {}),
    });
    const { acknowledgement, forgotten, forgottenSecrets } = this.#memory.invalidate(stream, message);
    this.#write({
      do: 'invalidate',
      stream,
      message: encoded(HoldInvalidation.encode(message)),
      acknowledges: String(acknowledgement.number),
      forgets: new Set(forgotten).size,
      forgetsSecrets: forgottenSecrets.length,
    });
  }

  #end(stream: number): void {
    this.#streams.delete(stream);
    this.#memory.streamEnded(stream);
    this.#write({ do: 'end', stream, answers: this.#takeAnswers() });
  }

  #judge(): void {
    const text = this.#random.pick(TEXTS);
    const scopes = this.#roll() < 0.5 ? [] : ['orders:read', 'users:read'].slice(0, 1 + this.#below(2));
    const gives = this.#memory.judge(text, scopes)?.reason ?? null;
    this.#write({
      do: 'judge',
      text,
      scopes,
      gives,
      isLeased: this.#memory.isLeased,
      size: this.#memory.size,
    });
  }

  #get(): void {
    const name = this.#random.pick(SECRETS);
    const value = this.#memory.secrets.get(name);
    this.#write({ do: 'get', name, gives: value === undefined ? null : value.bytes.toString() });
  }

  #position(): { readonly epoch: string; readonly revision: bigint } {
    this.#revision += 1n;
    return { epoch: this.#roll() < 0.95 ? EPOCHS[0] : EPOCHS[1], revision: this.#revision };
  }

  #write(step: Step): void {
    this.#steps.push(step);
  }

  #takeAnswers(): readonly unknown[] {
    const answers = this.#answers;
    this.#answers = [];
    return answers;
  }

  #of(stream: number): { renewals: bigint[]; ids: bigint[]; accesses: bigint[]; isOpen: boolean } {
    const known = this.#streams.get(stream);
    if (known === undefined) throw new Error(`there is no stream ${stream}`);
    return known;
  }

  #roll(): number {
    return this.#random.below(1_000_000) / 1_000_000;
  }

  #below(limit: number): number {
    return this.#random.below(limit);
  }
}

/** reasonOf is the reason of an answer for one who needs no scopes; null: the stream ended before. */
function reasonOf(answer: Answer | undefined): string | null {
  if (answer === undefined) return null;
  return 'judge' in answer ? answer.judge([]).reason : `error ${answer.error?.code ?? 0}`;
}

function valueIn(accessed: Accessed | undefined): string | null {
  if (accessed === undefined) return null;
  return 'value' in accessed ? accessed.value.bytes.toString() : `error ${accessed.error?.code ?? 0}`;
}

function sorted(numbers: readonly bigint[]): readonly string[] {
  return numbers.map(String).sort();
}

function encoded(writer: { finish(): Uint8Array }): string {
  return Buffer.from(writer.finish()).toString('base64');
}
