import { setTimeout as delay } from 'node:timers/promises';
import type { KeywardClient } from '../../../src/client/index.js';
import { present } from '../campaign/changes.js';
import type { Gate } from '../campaign/gate.js';
import { byId } from '../../support/requests.js';
import { Random } from '../../support/random.js';
import type { Calls, Kind } from './calls.js';
import { BOUND_MS } from './limits.js';

/** Place is a fact that is written and read by calls. */
export interface Place {
  readonly name: string;
  /** One for each replica. */
  readonly clients: readonly KeywardClient[];
  /** read gives the value and an etag that no later change of the value leaves as it is. */
  readonly read: (client: KeywardClient) => Promise<{ readonly value: string; readonly etag: string }>;
  readonly write: (client: KeywardClient, value: string, etag: string) => Promise<unknown>;
}

export interface CellOptions {
  readonly place: Place;
  readonly calls: Calls;
  readonly gate: Gate;
  readonly seed: number;
}

/** After one write and read of a cell, so that others get their turn. */
const MAX_PAUSE_MS = 300;
/** Those with which nothing was done. */
const REFUSALS = ['ABORTED', 'RESOURCE_EXHAUSTED'];
const FIRST = 'value 0';

/** Cell is one fact with what is known of it: it must always have the value whose write was acknowledged last. */
export class Cell {
  /** Values found that it cannot have. */
  readonly contradictions: string[] = [];
  acknowledged = 0;
  reads = 0;
  readonly #options: CellOptions;
  readonly #random: Random;
  readonly #kinds: Readonly<Record<'read' | 'write', Kind>>;
  #possible: ReadonlySet<string> = new Set([FIRST]);
  #writes = 0;

  constructor(options: CellOptions) {
    this.#options = options;
    this.#random = new Random(options.seed);
    const { name } = options.place;
    this.#kinds = {
      read: { name: `read ${name}`, boundMs: BOUND_MS },
      write: { name: `write ${name}`, boundMs: BOUND_MS },
    };
  }

  async run(isOver: () => boolean): Promise<void> {
    while (!isOver()) {
      await this.#options.gate.through(() => this.#change());
      await delay(this.#random.below(MAX_PAUSE_MS));
    }
  }

  /** remember gives what takes it back to the present, as a restore does. */
  remember(): () => void {
    const was = this.#possible;
    return () => {
      this.#possible = was;
    };
  }

  /** check reads it through one replica, and gives its etag if that could be done. */
  async check(replica: number): Promise<string | undefined> {
    const { place, calls } = this.#options;
    const { clients } = place;
    const read = await calls.make(this.#kinds.read, replica, () => place.read(present(clients[replica])));
    if ('code' in read) return undefined;
    this.reads += 1;
    const { value, etag } = read.value;
    if (!this.#possible.has(value)) {
      const expected = [...this.#possible].join(' or ');
      this.contradictions.push(`${place.name} through replica ${replica}: ${value} instead of ${expected}`);
    }
    return etag;
  }

  async #change(): Promise<void> {
    const { place, calls } = this.#options;
    const { clients } = place;
    const through = this.#random.below(clients.length);
    const etag = await this.check(this.#random.below(clients.length));
    if (etag === undefined) return;
    this.#writes += 1;
    const value = `value ${this.#writes}`;
    const written = await calls.make(this.#kinds.write, through, () =>
      place.write(present(clients[through]), value, etag),
    );
    if (!('code' in written)) {
      // A former write of which nothing is known had an older etag.
      this.#possible = new Set([value]);
      this.acknowledged += 1;
    } else if (!REFUSALS.some((code) => written.code.startsWith(code))) {
      this.#possible = new Set([...this.#possible, value]);
    }
  }
}

/** makePlaces makes secrets, tokens and accounts to write to, each with the first value; the last are the administrator's. */
export async function makePlaces(
  users: readonly KeywardClient[],
  admins: readonly KeywardClient[],
  profileId: bigint,
  count: number,
): Promise<Place[]> {
  const made: Place[] = [];
  for (let each = 1; each <= count; each += 1)
    made.push(
      await secretPlace(users, profileId, `soak-${each}`),
      await tokenPlace(users, profileId, `soak-${each}`),
      await accountPlace(admins, `soak-${each}`),
    );
  return made;
}

async function secretPlace(
  clients: readonly KeywardClient[],
  profileId: bigint,
  name: string,
): Promise<Place> {
  const payloadOf = (text: string) => ({ value: { $case: 'text', value: text } }) as const;
  const owner = byId({ id: profileId });
  const { secret } = await present(clients[0]).secrets.createSecret({
    owner,
    name,
    payload: payloadOf(FIRST),
  });
  const selector = byId(present(secret));
  return {
    name: 'secret',
    clients,
    read: async ({ secrets }) => {
      const [{ secret: read }, { payload }] = await Promise.all([
        secrets.getSecret({ secret: selector }),
        secrets.accessSecret({ secret: selector }),
      ]);
      const { value } = present(payload);
      return { value: value?.$case === 'text' ? value.value : 'not text', etag: present(read).etag };
    },
    write: ({ secrets }, value, etag) =>
      secrets.addSecretVersion({ selector, etag, payload: payloadOf(value) }),
  };
}

async function tokenPlace(
  clients: readonly KeywardClient[],
  profileId: bigint,
  name: string,
): Promise<Place> {
  const { token } = await present(clients[0]).tokens.createToken({
    owner: byId({ id: profileId }),
    name,
    description: FIRST,
  });
  const selector = byId(present(token));
  return {
    name: 'token',
    clients,
    read: async ({ tokens }) => {
      const { description, etag } = present((await tokens.getToken({ token: selector })).token);
      return { value: description, etag };
    },
    write: ({ tokens }, description, etag) =>
      tokens.updateToken({ selector, etag, token: { description }, updateMask: ['description'] }),
  };
}

async function accountPlace(clients: readonly KeywardClient[], name: string): Promise<Place> {
  const { account } = await present(clients[0]).accounts.createAccount({ name, companyName: FIRST });
  const selector = byId(present(account));
  return {
    name: 'account',
    clients,
    read: async ({ accounts }) => {
      const { companyName, etag } = present((await accounts.getAccount({ account: selector })).account);
      return { value: companyName, etag };
    },
    write: ({ accounts }, companyName, etag) =>
      accounts.updateAccount({ selector, etag, account: { companyName }, updateMask: ['company_name'] }),
  };
}
