import type { Caller } from '../authz/caller.js';
import { actorOf, MANY, type Actor, type AuditEntry } from '../audit/audit-entry.js';
import type { Place, Tally } from '../audit/tally.js';

type Outcome = 'OK' | 'CREDENTIALS_REFUSED';

/** AuthenticationLog counts who was recognised, by caller, and who was refused, by host. */
export class AuthenticationLog {
  readonly #tally: Pick<Tally, 'add'>;

  constructor(tally: Pick<Tally, 'add'>) {
    this.#tally = tally;
  }

  succeeded(caller: Caller): void {
    const { keyId, userId, origin } = caller;
    const key = `OK ${keyId ?? `${userId} ${origin.certificate ?? ''}`}`;
    // Not made when it is needed: the tally would keep the caller until then, and with it the call and its request.
    const actor = { ...actorOf(caller), requestId: undefined };
    this.#tally.add([place(key, 'OK', () => actor), ALL_RECOGNISED]);
  }

  /** failed counts a refusal by the host of its peer: ports differ with every connection. */
  failed(peer: string): void {
    const host = hostOf(peer);
    const actor = (): Actor => ({ ...MANY, peer: host });
    this.#tally.add([place(`REFUSED ${host}`, 'CREDENTIALS_REFUSED', actor), ALL_REFUSED]);
  }
}

const ALL_RECOGNISED = place('OK', 'OK', () => MANY);
const ALL_REFUSED = place('REFUSED', 'CREDENTIALS_REFUSED', () => MANY);

function place(key: string, outcome: Outcome, actor: () => Actor): Place {
  const entry = (): AuditEntry => ({
    actor: actor(),
    action: outcome === 'OK' ? 'AUTHENTICATION_SUCCEEDED' : 'AUTHENTICATION_FAILED',
    outcome,
    resource: { kind: 'service', id: null },
    detail: {},
  });
  return { key: `authentication ${key}`, entry };
}

/** hostOf leaves the port out of a peer, `<IPv4>:<port>` or `[<IPv6>]:<port>`. */
function hostOf(peer: string): string {
  return peer.replace(/:\d+$/, '');
}
