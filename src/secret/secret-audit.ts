import type { Caller } from '../authz/caller.js';
import type { Owner } from '../authz/owner.js';
import { actorOf, type AuditAction, type AuditEntry, type AuditResource } from '../audit/audit-log.js';
import { KeywardError, type Reason } from '../lib/errors.js';
import type { SecretRef } from './secret-ref.js';

/** Done is something that was done to a secret, for the audit log. */
export interface Done {
  readonly action: AuditAction;
  readonly detail?: Readonly<Record<string, string>>;
}

interface Owned {
  readonly id: bigint;
  readonly owner: Owner;
}

/** doneBy is the record of what a caller did to a secret. */
export function doneBy(caller: Caller, { action, detail = {} }: Done, secret: Owned): AuditEntry {
  return { actor: actorOf(caller), action, outcome: 'OK', resource: resourceOf(secret), detail };
}

/** refusedTo is the record of what a caller tried; without a secret if there is none that was named. */
export function refusedTo(
  caller: Caller,
  { action, detail = {} }: Done,
  outcome: Reason,
  secret: Owned | undefined,
): AuditEntry {
  const resource = secret === undefined ? ({ kind: 'secret', id: null } as const) : resourceOf(secret);
  return { actor: actorOf(caller), action, outcome, resource, detail };
}

/** attemptOf is what was asked for, as a text that tells it from everything else. */
export function attemptOf(ref: SecretRef, version: number | null): string {
  const asText = (_: string, value: unknown): unknown => (typeof value === 'bigint' ? String(value) : value);
  return JSON.stringify([ref, version], asText);
}

/** Reasons of which none was found in the caller or in what was asked for. */
const UNDECIDED: readonly Reason[] = ['DATABASE_UNAVAILABLE', 'CLIENT_GONE', 'REQUEST_ALREADY_DONE'];

/** isRefusal tells an error that was decided from one that kept the service from deciding. */
export function isRefusal(error: unknown): error is KeywardError {
  return error instanceof KeywardError && !UNDECIDED.includes(error.reason);
}

export function resourceOf({ id, owner }: Owned): AuditResource {
  const { profileId, accountId, accountNumber } = owner;
  return { kind: 'secret', id, profileId, accountId, accountNumber };
}
