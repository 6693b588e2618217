import { AccessSecretRequest } from '../../../clients/node/src/gen/keyward/secret/v1/secret_service.js';
import { Holding } from '../../../clients/node/src/holding/holding.js';
import type { Timers } from '../../../clients/node/src/holding/timers.js';
import type { Entry } from '../../../clients/node/src/memory/entry.js';
import type { Accessed, SecretValue } from '../../../clients/node/src/memory/secret-shelf.js';
import type { Verdict } from '../../../clients/node/src/memory/verdict.js';
import { digestBytes } from '../../../src/crypto/digest.js';
import type { Random } from '../../support/random.js';
import type { Answered } from './checker.js';
import { HoldStreams, type Near } from './hold-stream.js';
import { digestOfRow, type Row } from './rows.js';
import type { ClientParts, SimulatedReplica } from './simulated-replica.js';

/** Tell is told what a client answers. */
type Tell = (answered: Answered, isStale: boolean) => void;

/** SimulatedClient is one process that holds verdicts and values of secrets: the real memory, kept right over simulated streams. */
export class SimulatedClient {
  readonly near: Near;
  readonly streams: HoldStreams;
  readonly #holding: Holding;
  /** What was found of each text, as of one that is bound to a connection. */
  readonly #bound = new Map<Row, Entry>();

  constructor(near: Near, random: Random, replicas: () => readonly SimulatedReplica[], parts: ClientParts) {
    const { process } = near;
    const timers: Timers = {
      monotonicMs: () => process.monotonicMs(),
      wallMs: () => process.wallMs(),
      after: (ms, run) => process.after(ms, run),
      soon: (run) => {
        queueMicrotask(run);
      },
      random: () => process.random(),
    };
    this.near = near;
    this.streams = new HoldStreams(near, random, replicas);
    // As many as the replica allows, or fewer: then it makes room by itself.
    const wanted = { maxEntries: random.pick([2, 3]), maxSecrets: 2 };
    this.#holding = new Holding(this.streams.transport, parts.timers?.(timers) ?? timers);
    this.#holding.join({ wanted, forgotten: () => undefined });
  }

  /** isLeased tells whether it answers from memory. */
  get isLeased(): boolean {
    return this.#holding.memory.isLeased;
  }

  /** validate answers from memory, or by a look-up if there is a stream to ask. True for memory. */
  validate(token: Row, tell: Tell): boolean {
    const { memory, session } = this.#holding;
    const key = String(token);
    if (this.#bound.get(token)?.isHeld !== true) this.#bound.delete(token);
    const entry = this.#bound.get(token) ?? memory.entryOf(key);
    if (entry !== undefined) this.#bound.set(token, entry);
    const verdict = entry && memory.judgeEntry(entry, []);
    if (verdict !== undefined) {
      tellVerdict(verdict, tell);
      return true;
    }
    const digest = (): Buffer => digestBytes(digestOfRow(token));
    const asked =
      session &&
      memory.lookUp(session.stream, key, digest, (answer) => {
        if (answer !== undefined && 'judge' in answer) tellVerdict(answer.judge([]), tell);
      });
    if (asked !== undefined) session?.lookUp(asked);
    return false;
  }

  /** read is the same for the value of a secret. */
  read(secret: Row, tell: Tell): boolean {
    const { memory, session } = this.#holding;
    const key = String(secret);
    const held = memory.secrets.get(key);
    if (held !== undefined) {
      tellValue(held, tell);
      return true;
    }
    const request = AccessSecretRequest.fromPartial({ secret: { id: BigInt(secret) } });
    const access =
      session &&
      memory.secrets.access(session.stream, key, request, (accessed) => tellAccessed(accessed, tell));
    if (access !== undefined) session?.send({ access });
    return false;
  }
}

function tellVerdict({ valid, reason, name, principal, stale }: Verdict, tell: Tell): void {
  if (valid) tell({ version: Number(name), ownerVersion: Number(principal?.username) }, stale);
  else if (reason === 'UNKNOWN') tell(null, stale);
  else throw new Error(`no token is ever ${reason}`);
}

function tellValue({ bytes }: SecretValue, tell: Tell): void {
  tell({ version: Number(bytes.toString()) }, false);
}

/** tellAccessed: of failures one alone says something about the secret. */
function tellAccessed(accessed: Accessed | undefined, tell: Tell): void {
  if (accessed === undefined) return;
  if ('value' in accessed) tellValue(accessed.value, tell);
  else if (accessed.error?.code === 5) tell(null, false);
}
