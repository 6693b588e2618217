import {
  HoldLeaveReason,
  HoldRefusal,
  type HoldFact,
  type HoldLookUp,
  type HoldOpen,
  type HoldPosition,
  type HoldRenewal,
  type HoldUse,
} from '../gen/keyward/token/v1/hold_verdicts.js';
import type { Head } from '../coherence/ports.js';
import { digestFromBytes } from '../crypto/digest.js';
import type { Clock } from '../lib/clock.js';
import { millisFromInstant } from '../lib/instant.js';
import { ALL_SCOPES } from '../lib/scopes.js';
import { checked, type Violations } from '../lib/violations.js';
import { toKeywardError, toRpcStatus } from '../rpc/error-status.js';
import { fromDuration, toDuration, toSignedDuration } from '../rpc/timestamp.js';
import { toAccess } from '../secret/access/access-handler.js';
import type { AccessedSecret } from '../secret/access/access.js';
import { decodeValid } from '../token/validate-codec.js';
import { judge, type VerdictRecord } from '../token/verdict.js';
import type { Coming } from './holder-hub.js';
import type { Grant, Invalidation, LookedUp, Refusal } from './holder-outlet.js';
import { MAX_SECRETS } from './holding.js';
import { encode } from './hold-codec.js';
import type { Use } from './reports.js';

/** The translation between the messages of HoldVerdicts and what the hub knows. */

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const LABEL = /^[A-Za-z0-9_.:/-]{1,63}$/;
const AGENT = /^[ -~]{0,63}$/;
const MAX_TEXTS = 500;
const DIGEST_BYTES = 64;
const MAX_RELEASED = 10_000;
const MAX_USES = 1_000;
const MICROSECONDS_AN_HOUR = 3_600_000_000n;
/** Bytes of facts in one message, about. */
const MAX_FACTS_BYTES = 256 * 1024;
/** What a fact takes besides the answer that it is made of. */
const FACT_FRAME = 64;
/** Ten thousand years: more is no protobuf duration. */
const FOR_EVER_MS = 315_576_000_000_000;

const REFUSALS: Readonly<Record<Refusal, HoldRefusal>> = {
  REPLICA_HAS_NONE: HoldRefusal.HOLD_REFUSAL_REPLICA_HAS_NONE,
  NOT_ACKNOWLEDGED: HoldRefusal.HOLD_REFUSAL_NOT_ACKNOWLEDGED,
  TOO_SLOW: HoldRefusal.HOLD_REFUSAL_TOO_SLOW,
  STOPPING: HoldRefusal.HOLD_REFUSAL_STOPPING,
};

/** Opening is what a client says of itself. */
export interface Opening {
  readonly clientId: string;
  readonly label: string;
  readonly agent: string;
  readonly coming: Coming | undefined;
}

export function readOpen(message: HoldOpen, maxEntries: number): Opening {
  const { clientId, label, agent, position, tokens, secretIds } = message;
  return checked((v) => {
    v.check(UUID.test(clientId), 'open.client_id', 'must be a UUID');
    v.check(LABEL.test(label), 'open.label', 'must be 1 to 63 characters of [A-Za-z0-9_.:/-]');
    v.check(AGENT.test(agent), 'open.agent', 'must be at most 63 printable ASCII characters');
    if (position === undefined) {
      v.check(tokens.length === 0, 'open.tokens', 'must be empty without a position');
      v.check(secretIds.length === 0, 'open.secret_ids', 'must be empty without a position');
      return { clientId, label, agent, coming: undefined };
    }
    v.check(UUID.test(position.epoch), 'open.position.epoch', 'must be a UUID');
    v.check(position.revision >= 0n, 'open.position.revision', 'must not be negative');
    const number = tokens.reduce((sum, { handles }) => sum + handles.length, 0);
    v.check(number <= maxEntries, 'open.tokens', `must have at most ${maxEntries} handles`);
    v.check(secretIds.length <= MAX_SECRETS, 'open.secret_ids', `must be at most ${MAX_SECRETS}`);
    const owned = tokens.map(({ userProfileId: profileId, userId, accountId, handles }) => ({
      owner: { profileId, userId, accountId },
      handles,
    }));
    return { clientId, label, agent, coming: { position, tokens: owned, secretIds } };
  });
}

export function readLookUp({ texts }: HoldLookUp): { readonly id: bigint; readonly digest: string }[] {
  return checked((v) => {
    v.check(texts.length > 0, 'look_up.texts', 'must not be empty');
    v.check(texts.length <= MAX_TEXTS, 'look_up.texts', `must be at most ${MAX_TEXTS}`);
    return texts.slice(0, MAX_TEXTS).map(({ id, digest }, index) => {
      v.check(
        digest.length === DIGEST_BYTES,
        `look_up.texts[${index}].digest`,
        `must be ${DIGEST_BYTES} bytes`,
      );
      return { id, digest: digestFromBytes(digest) };
    });
  });
}

/** Renewal asks for a lease. */
export interface Renewal {
  readonly number: bigint;
  readonly released: readonly bigint[];
  readonly uses: readonly Use<string>[];
  readonly secretUses: readonly Use<bigint>[];
}

export function readRenewal({ number, released, uses, secretUses }: HoldRenewal): Renewal {
  return checked((v) => {
    v.check(released.length <= MAX_RELEASED, 'renewal.released', `must be at most ${MAX_RELEASED}`);
    v.check(uses.length <= MAX_USES, 'renewal.uses', `must be at most ${MAX_USES}`);
    v.check(secretUses.length <= MAX_USES, 'renewal.secret_uses', `must be at most ${MAX_USES}`);
    return {
      number,
      released,
      uses: uses.slice(0, MAX_USES).map((use, index) => {
        const field = `renewal.uses[${index}]`;
        v.check(UUID.test(use.keyId), `${field}.key_id`, 'must be a UUID');
        return { id: use.keyId, ...readUse(v, field, use) };
      }),
      secretUses: secretUses.slice(0, MAX_USES).map((use, index) => {
        const field = `renewal.secret_uses[${index}]`;
        v.check(use.secretId > 0n, `${field}.secret_id`, 'must be above 0');
        return { id: use.secretId, ...readUse(v, field, use) };
      }),
    };
  });
}

function readUse(
  v: Violations,
  field: string,
  { count, lastUsedAgo }: Pick<HoldUse, 'count' | 'lastUsedAgo'>,
): { count: number; agoMs: number } {
  v.check(count > 0, `${field}.count`, 'must be above 0');
  const ago = lastUsedAgo === undefined ? 0n : (fromDuration(v, `${field}.last_used_ago`, lastUsedAgo) ?? 0n);
  v.check(ago >= 0n, `${field}.last_used_ago`, 'must not be negative');
  return { count, agoMs: Number(ago > MICROSECONDS_AN_HOUR ? MICROSECONDS_AN_HOUR : ago) / 1000 };
}

export interface Terms {
  readonly replicaId: string;
  readonly maxEntries: number;
  readonly maxSecrets: number;
  readonly renewEveryMs: number;
  readonly acknowledgeWithinMs: number;
}

export function openedMessage(isResumed: boolean, terms: Terms): Buffer {
  const { replicaId, maxEntries, maxSecrets, renewEveryMs, acknowledgeWithinMs } = terms;
  const value = {
    replicaId,
    resumed: isResumed,
    maxEntries,
    maxSecrets,
    renewEvery: toDuration(renewEveryMs),
    acknowledgeWithin: toDuration(acknowledgeWithinMs),
  };
  return encode({ $case: 'opened', value });
}

/** factsMessages are as many as their size asks for. */
export function factsMessages(
  facts: readonly LookedUp<VerdictRecord>[],
  requestId: string,
  clock: Clock,
): Buffer[] {
  const messages: HoldFact[][] = [];
  let bytes = Infinity;
  for (const fact of facts) {
    const size = FACT_FRAME + (fact.fact?.answer.length ?? 0);
    if (bytes + size > MAX_FACTS_BYTES) {
      messages.push([]);
      bytes = 0;
    }
    bytes += size;
    messages.at(-1)?.push(toFact(fact, requestId, clock.now()));
  }
  return messages.map((each) => encode({ $case: 'facts', value: { facts: each } }));
}

const NO_FACT: Omit<HoldFact, 'id'> = {
  error: undefined,
  keep: false,
  known: false,
  handle: 0n,
  keyId: '',
  name: '',
  principal: undefined,
  scopes: [],
  isActive: false,
  userIsActive: false,
  accountIsActive: false,
  expiresIn: undefined,
  expiresAt: undefined,
  stale: false,
};

function toFact(
  { id, fact: record, error, keep, handle, isStale: stale }: LookedUp<VerdictRecord>,
  requestId: string,
  now: number,
): HoldFact {
  if (record === undefined) return { ...NO_FACT, id, error: toRpcStatus(toKeywardError(error, requestId)) };
  if (record === null) return { ...NO_FACT, id, stale };
  const { owner } = record;
  const { keyId, name, principal, expiresAt } = decodeValid(record);
  const passes = judge(record, [], now) === 'OK';
  const ids = { userId: owner.userId, userProfileId: owner.profileId, accountId: owner.accountId };
  const stranger = { ...ids, username: '', accountNumber: '', isStaff: false, isSuperuser: false };
  return {
    id,
    error: undefined,
    keep,
    known: true,
    handle: handle ?? 0n,
    keyId,
    name: passes ? name : '',
    principal: passes ? principal : stranger,
    scopes: passes ? [...(record.scopes === ALL_SCOPES ? ALL_SCOPES : record.scopes)] : [],
    isActive: record.isActive,
    userIsActive: owner.userIsActive,
    accountIsActive: owner.accountIsActive,
    expiresIn: record.expiresAt === Infinity ? undefined : toSignedDuration(record.expiresAt - now),
    expiresAt,
    stale,
  };
}

export function grantMessage({ number, granted, position }: Grant): Buffer {
  const value = {
    number,
    lease: 'leaseMs' in granted ? toDuration(granted.leaseMs) : undefined,
    position: toPosition(position),
    refusal: 'refusal' in granted ? REFUSALS[granted.refusal] : HoldRefusal.HOLD_REFUSAL_UNSPECIFIED,
  };
  return encode({ $case: 'grant', value });
}

export function invalidationMessage(invalidation: Invalidation): Buffer {
  const { number, everything, handles, owners, secretIds, allSecrets, position } = invalidation;
  const value = {
    number,
    everything,
    handles: [...handles],
    userProfileIds: [...owners.profileIds],
    userIds: [...owners.userIds],
    accountIds: [...owners.accountIds],
    secretIds: [...secretIds],
    allSecrets,
    position: toPosition(position),
  };
  return encode({ $case: 'invalidation', value });
}

export function accessedMessage(id: bigint, accessed: AccessedSecret, keep: boolean, now: number): Buffer {
  const leftMs = accessed.until === null ? undefined : millisFromInstant(accessed.until) - now;
  const value = {
    id,
    result: { $case: 'access', value: toAccess(accessed) } as const,
    keep: keep && (leftMs === undefined || leftMs > 0),
    expiresIn: leftMs === undefined || leftMs > FOR_EVER_MS ? undefined : toSignedDuration(leftMs),
  };
  return encode({ $case: 'accessed', value });
}

export function accessFailedMessage(id: bigint, error: unknown, requestId: string): Buffer {
  const result = { $case: 'error', value: toRpcStatus(toKeywardError(error, requestId)) } as const;
  return encode({ $case: 'accessed', value: { id, result, keep: false, expiresIn: undefined } });
}

export function leaveMessage(): Buffer {
  return encode({ $case: 'leave', value: { reason: HoldLeaveReason.HOLD_LEAVE_REASON_STOPPING } });
}

function toPosition(head: Head | undefined): HoldPosition | undefined {
  return head && { epoch: head.epoch, revision: head.revision };
}
