import { setTimeout as delay } from 'node:timers/promises';
import type { Credential, Estate } from '../estate.js';
import type { Change, Recorder } from '../history.js';
import { ClientSite } from './client-site.js';
import type { Known } from './commands.js';

/** Questions of each client: 2,000 a second. */
const PACE_MS = 10;
const STRETCH = 20;
const TELL_EVERY_MS = 50;
/** Commands of programs in other languages, which are clients by turns with that of Node.js. */
export const PROGRAMS = (process.env['CAMPAIGN_CLIENT_PROGRAMS'] ?? '').split(',').filter(Boolean);
/** In which all clients hold again what nobody changes. Who was slow too often may hold nothing for a minute. */
const LEARN_LIMIT_MS = 70_000;

export interface FleetOptions {
  readonly count: number;
  /** URL of the module of the client package; that of this checkout if not given. */
  readonly module?: string;
  readonly ports: readonly number[];
  /** Of one who may hold verdicts. */
  readonly token: string;
  readonly seed: number;
  readonly timeoutMs: number;
  readonly estates: readonly Estate[];
  readonly bystanders: readonly Credential[];
  readonly recorder: Recorder;
}

/** Fleet is all clients that have a memory of their own. */
export class Fleet {
  readonly clients: readonly ClientSite[];
  readonly #options: FleetOptions;
  readonly #bystanders: readonly Known[];
  /** How many answers about bystanders the clients held when that was counted last. */
  lastHeld = 0;
  #told = '';

  private constructor(options: FleetOptions, clients: readonly ClientSite[]) {
    this.#options = options;
    this.clients = clients;
    this.#bystanders = options.bystanders.map((credential) => knownOf(credential, true));
  }

  /** open adds to `opened` what it opens, as soon as that is open. */
  static async open(options: FleetOptions, opened: { close(): unknown }[]): Promise<Fleet> {
    const { count, seed, estates: _, bystanders: __, ...rest } = options;
    const clients = await Promise.all(
      Array.from({ length: count }, async (_each, index) => {
        const own = { index, seed: seed + 60_000 + index, paceMs: PACE_MS, stretch: STRETCH };
        const program = [undefined, ...PROGRAMS][index % (PROGRAMS.length + 1)];
        const client = await ClientSite.open({ ...rest, ...own, program });
        opened.push(client);
        return client;
      }),
    );
    return new Fleet(options, clients);
  }

  /** failures are why clients ended by themselves. */
  get failures(): string[] {
    return this.clients.flatMap(({ index, failure }) =>
      failure === undefined ? [] : [`client ${index}: ${failure}`],
    );
  }

  /** run keeps telling the clients what there is to ask for. */
  async run(isOver: () => boolean): Promise<void> {
    if (this.clients.length === 0) return;
    while (!isOver()) {
      this.#tellWhatIsNew();
      await delay(TELL_EVERY_MS);
    }
  }

  /** follow has all clients ask for what a change must have changed, the moment that it says so, and by when it says so. */
  follow({ result }: Change, credentials: readonly Credential[]): void {
    const follow = credentials.map((credential) => knownOf(credential, false));
    const tell = () => {
      for (const client of this.clients) client.tell({ follow });
    };
    tell();
    if (result.kind !== 'incomplete' || this.clients.length === 0) return;
    setTimeout(tell, result.effectiveBy - this.#options.recorder.now() + 2).unref();
  }

  /** held is how many answers about bystanders the clients have in memory, all in all. */
  async held(): Promise<number> {
    const held = await Promise.all(this.clients.map((client) => client.held(this.#bystanders)));
    this.lastHeld = held.reduce((sum, each) => sum + each, 0);
    return this.lastHeld;
  }

  /** heldIfAll is what `held` is where no client lacks any. */
  get heldIfAll(): number {
    return this.clients.length * this.#bystanders.length;
  }

  /** haveLearned tells whether all clients hold all bystanders, when nothing is wrong any more. */
  async haveLearned(): Promise<boolean> {
    const until = performance.now() + LEARN_LIMIT_MS;
    while ((await this.held()) < this.heldIfAll) {
      if (performance.now() > until) return false;
      await delay(TELL_EVERY_MS);
    }
    return true;
  }

  /** finish ends all clients once they have told all that they were answered. */
  async finish(): Promise<void> {
    await Promise.all(this.clients.map((client) => client.finish()));
  }

  #tellWhatIsNew(): void {
    const { estates } = this.#options;
    const credentials = estates.flatMap((estate) => estate.credentials);
    const told = credentials.map(({ number }) => number).join();
    if (told === this.#told) return;
    this.#told = told;
    const known = [...this.#bystanders, ...credentials.map((credential) => knownOf(credential, false))];
    for (const client of this.clients) client.know(known);
  }
}

function knownOf({ number, plaintext }: Credential, isBystander: boolean): Known {
  return { number, plaintext, isBystander };
}
