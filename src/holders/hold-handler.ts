import type { Caller } from '../authz/caller.js';
import { databaseUnavailable, KeywardError, scopeMissing } from '../lib/errors.js';
import { covers } from '../lib/scopes.js';
import type { Clock } from '../lib/clock.js';
import type { Timers } from '../lib/timers.js';
import { invalid } from '../lib/violations.js';
import type { HoldAccess, HoldVerdictsRequest } from '../gen/keyward/token/v1/hold_verdicts.js';
import type { Dialogue } from '../rpc/dialogue.js';
import type { DialogueHandler, LiveDialogue } from '../rpc/handlers.js';
import { ACCESS_WEIGHT, readAccess } from '../secret/access/access-handler.js';
import type { AccessService } from '../secret/access/access-service.js';
import type { AccessedSecret } from '../secret/access/access.js';
import { AccessSecretRequest } from '../gen/keyward/secret/v1/secret_service.js';
import { keyIdOf } from '../token/validate-codec.js';
import { VALIDATE_WEIGHT } from '../token/validate-handler.js';
import type { VerdictRecord } from '../token/verdict.js';
import { RENEW_EVERY_MS, type HolderHub } from './holder-hub.js';
import type { Holder } from './holder.js';
import type { Grant, HolderOutlet, Invalidation, LookedUp } from './holder-outlet.js';
import {
  accessedMessage,
  accessFailedMessage,
  factsMessages,
  grantMessage,
  invalidationMessage,
  leaveMessage,
  openedMessage,
  readLookUp,
  readOpen,
  readRenewal,
  type Renewal,
} from './hold-messages.js';
import { MAX_SECRETS } from './holding.js';
import { Reports } from './reports.js';
import { ACKNOWLEDGE_WITHIN_MS } from './unacknowledged.js';

const CACHE = 'keyward.tokens.cache';
const ACCESS = 'keyward.secrets.access';
/** Most bytes of a message, besides what the client names of what it holds. */
const MESSAGE_BYTES = 256 * 1024;
/** One token that is held, with its owner. */
const BYTES_OF_A_TOKEN = 48;
/** What may wait for the caller to be judged; the client is not read on meanwhile. */
const MAX_TURNS = 100;

type Message = NonNullable<HoldVerdictsRequest['message']>;

const NO_ACCESS = AccessSecretRequest.fromPartial({});

const FIELDS: Readonly<Record<Message['$case'], string>> = {
  open: 'open',
  lookUp: 'look_up',
  access: 'access',
  renewal: 'renewal',
  acknowledgement: 'acknowledgement',
  left: 'left',
};

export interface HoldDependencies {
  readonly hub: HolderHub<VerdictRecord>;
  readonly replicaId: string;
  readonly maxEntries: number;
  readonly secrets: Pick<AccessService, 'access' | 'recordMissingScope'>;
  /** Is told of the uses that clients report. */
  readonly used: (uses: Pick<Renewal, 'uses' | 'secretUses'>) => void;
  readonly clock: Clock;
  readonly timers: Timers;
}

/** holdHandler serves the clients that hold verdicts. */
export function holdHandler(deps: HoldDependencies): DialogueHandler<HoldVerdictsRequest> {
  return {
    permission: CACHE,
    maxRequestBytes: MESSAGE_BYTES + deps.maxEntries * BYTES_OF_A_TOKEN,
    converse: (dialogue, caller, call) => new HoldConversation(deps, dialogue, caller, call).hold(),
  };
}

/** HoldConversation is one stream of a client. */
class HoldConversation implements HolderOutlet<VerdictRecord> {
  readonly #deps: HoldDependencies;
  readonly #dialogue: Dialogue<HoldVerdictsRequest>;
  readonly #call: LiveDialogue;
  #caller: Caller;
  #holder: Holder<VerdictRecord> | undefined;
  /** How often it became unsure what the caller may do. */
  #doubts = 0;
  #isOpening = false;
  readonly #reports: Reports;
  /** Why the stream ends as soon as the client has acknowledged that it holds nothing any more. */
  #refusal: { readonly error: unknown } | undefined;
  /** True once the client has ended its side: what it asked is answered yet. */
  #hasEnded = false;
  /** What must happen one after the other, and how much of that is to be done. */
  #last: Promise<void> = Promise.resolve();
  #turns = 0;

  constructor(
    deps: HoldDependencies,
    dialogue: Dialogue<HoldVerdictsRequest>,
    caller: Caller,
    call: LiveDialogue,
  ) {
    this.#deps = deps;
    this.#dialogue = dialogue;
    this.#caller = caller;
    this.#call = call;
    this.#reports = new Reports(deps.maxEntries, deps.timers.monotonicMs());
  }

  async hold(): Promise<'ended' | 'cancelled'> {
    try {
      const receive = ({ message }: HoldVerdictsRequest): void => {
        this.#receive(message);
        this.#regulate();
      };
      return await this.#dialogue.hold(receive, () => {
        this.#hasEnded = true;
        this.#finishIfDone();
      });
    } finally {
      if (this.#holder !== undefined) this.#deps.hub.close(this.#holder);
    }
  }

  opened(isResumed: boolean): void {
    const { replicaId, maxEntries } = this.#deps;
    const maxSecrets = covers(this.#caller.scopes, ACCESS) ? MAX_SECRETS : 0;
    const terms = { replicaId, maxEntries, maxSecrets, renewEveryMs: RENEW_EVERY_MS };
    this.#dialogue.send(openedMessage(isResumed, { ...terms, acknowledgeWithinMs: ACKNOWLEDGE_WITHIN_MS }));
  }

  facts(facts: readonly LookedUp<VerdictRecord>[]): void {
    for (const { fact } of facts) if (fact) this.#reports.told(keyIdOf(fact));
    const { requestId } = this.#caller.origin;
    for (const message of factsMessages(facts, requestId, this.#deps.clock)) this.#dialogue.send(message);
    this.#regulate();
    this.#finishIfDone();
  }

  grant(grant: Grant): void {
    this.#dialogue.send(grantMessage(grant));
  }

  invalidate(invalidation: Invalidation): void {
    this.#dialogue.send(invalidationMessage(invalidation));
  }

  leave(): void {
    this.#dialogue.send(leaveMessage());
  }

  suspect(): void {
    this.#doubts += 1;
    this.#inTurn(async () => {
      await this.#judge();
    });
  }

  end(error: Error): void {
    this.#dialogue.end(error);
  }

  #receive(message: Message | undefined): void {
    const holder = this.#holder;
    if (message === undefined) throw invalid('message', 'must be given');
    if (this.#refusal !== undefined) {
      if (message.$case === 'acknowledgement') this.#acknowledged(message.value.number);
      return;
    }
    if (holder === undefined) {
      if (message.$case !== 'open') throw invalid(FIELDS[message.$case], 'must not come before open');
      this.#open(message.value);
      return;
    }
    switch (message.$case) {
      case 'open':
        throw invalid('open', 'must come only at first');
      case 'lookUp':
        this.#lookUp(holder, readLookUp(message.value));
        break;
      case 'access':
        this.#whenTrusted(holder, () => this.#access(holder, message.value));
        break;
      case 'renewal':
        this.#renew(holder, readRenewal(message.value));
        break;
      case 'acknowledgement':
        this.#acknowledged(message.value.number);
        break;
      case 'left':
        holder.left();
        this.#dialogue.finish();
    }
  }

  #open(message: Extract<Message, { readonly $case: 'open' }>['value']): void {
    const { coming, ...opening } = readOpen(message, this.#deps.maxEntries);
    this.#reports.named(coming?.tokens.reduce((sum, { handles }) => sum + handles.length, 0) ?? 0);
    const { userId, profileId, credential } = this.#caller;
    const identity = {
      ...opening,
      userId,
      profileId,
      accountId: credential?.accountId,
      digest: credential?.digest,
    };
    this.#holder = this.#deps.hub.open(identity, coming, this);
    this.#isOpening = true;
    this.#inTurn(async () => {
      // What it may do was judged before changes of that were told to this stream.
      if (!(await this.#judge())) throw databaseUnavailable();
      this.#isOpening = false;
    });
  }

  #lookUp(holder: Holder<VerdictRecord>, texts: ReturnType<typeof readLookUp>): void {
    this.#whenTrusted(holder, () => {
      holder.lookUp(texts, () => this.#call.begin(VALIDATE_WEIGHT));
    });
  }

  /** #whenTrusted gives nothing to a caller of whom something was changed, before it is judged anew. */
  #whenTrusted(holder: Holder<VerdictRecord>, work: () => void): void {
    if (holder.isTrusted) {
      work();
      return;
    }
    this.#inTurn(async () => {
      if (!holder.isTrusted && !(await this.#judge())) throw databaseUnavailable();
      if (this.#refusal === undefined) work();
    });
  }

  #access(holder: Holder<VerdictRecord>, { id, request }: HoldAccess): void {
    const caller = this.#caller;
    const { secrets, clock } = this.#deps;
    const read = async (): Promise<AccessedSecret> => {
      if (!covers(caller.scopes, ACCESS)) {
        await secrets.recordMissingScope(caller);
        throw scopeMissing(ACCESS);
      }
      const end = this.#call.begin(ACCESS_WEIGHT);
      try {
        return await secrets.access(caller, readAccess(request ?? NO_ACCESS, caller));
      } finally {
        end();
      }
    };
    const send = (message: Buffer): void => {
      this.#dialogue.send(message);
    };
    holder
      .access(read, (value, keep) => {
        send(accessedMessage(id, value, keep, clock.now()));
      })
      .catch((error: unknown) => {
        send(accessFailedMessage(id, error, caller.origin.requestId));
      })
      .finally(() => {
        this.#regulate();
        this.#finishIfDone();
      });
  }

  #renew(holder: Holder<VerdictRecord>, { number, released, uses, secretUses }: Renewal): void {
    // Ids can be guessed, or known: only what the client was given counts.
    this.#deps.used({
      uses: this.#reports.accept(uses, this.#deps.timers.monotonicMs()),
      secretUses: secretUses.filter(({ id }) => holder.holdsSecret(id)),
    });
    this.#inTurn(async () => {
      const mayHold = await this.#judge();
      if (mayHold) holder.renew(number, released);
      else holder.refuse(number, released);
    });
  }

  /** #judge tells whether the caller may hold what it holds; false if that cannot be told. It throws if it may not. */
  async #judge(): Promise<boolean> {
    for (;;) {
      const doubts = this.#doubts;
      try {
        this.#caller = await this.#call.reauthorize();
      } catch (error) {
        if (error instanceof KeywardError && error.reason === 'DATABASE_UNAVAILABLE') return false;
        throw error;
      }
      if (doubts !== this.#doubts) continue;
      this.#holder?.trust();
      return true;
    }
  }

  #inTurn(work: () => Promise<void>): void {
    this.#turns += 1;
    this.#last = this.#last
      .then(work)
      .catch((error: unknown) => {
        this.#refuse(error);
      })
      .finally(() => {
        this.#turns -= 1;
        this.#regulate();
        this.#finishIfDone();
      });
  }

  #finishIfDone(): void {
    if (!this.#hasEnded || this.#turns > 0 || this.#holder?.isWorking === true) return;
    if (this.#refusal === undefined) this.#dialogue.finish();
    else this.#dialogue.end(this.#refusal.error);
  }

  #acknowledged(number: bigint): void {
    this.#holder?.acknowledge(number);
    if (this.#refusal !== undefined && this.#holder?.isAwaited === false)
      this.#dialogue.end(this.#refusal.error);
  }

  /** #refuse ends the stream, but lets the client first say that it holds nothing: changes wait for that. */
  #refuse(error: unknown): void {
    if (this.#refusal !== undefined) return;
    this.#refusal = { error };
    if (this.#holder?.isAwaited !== true) {
      this.#dialogue.end(error);
      return;
    }
    this.#deps.timers.after(ACKNOWLEDGE_WITHIN_MS, () => {
      this.#dialogue.end(error);
    });
  }

  #regulate(): void {
    const isBusy = this.#holder?.isBusy === true || this.#turns >= MAX_TURNS;
    this.#dialogue.read(!this.#isOpening && !isBusy);
  }
}
