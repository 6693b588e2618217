import type { AuditEntry } from './audit-entry.js';
import { extend, newChain, originOf, type Chain, type ChainHead, type Stamped } from './audit-record.js';
import {
  cannotBeWritten,
  MAX_CHAINS_TRIED,
  now,
  spoilt,
  stamp,
  withFirst,
  type ChainWriterDependencies,
} from './chain-writer.js';
import { tamperingEntry } from './tampering.js';

interface Current {
  readonly chain: Chain;
  readonly head: ChainHead;
}

/** Drawn are numbers for records to come. */
interface Drawn {
  readonly ids: readonly bigint[];
  /** Milliseconds of the monotonic clock. */
  readonly at: number;
}

const NONE: Drawn = { ids: [], at: 0 };
/** Records are listed by their numbers, so numbers are not kept but for a batch that follows at once. */
const MAX_AGE_MS = 20;
/** Numbers to draw for each record that is written: the next batch may be larger. */
const DRAWN_PER_RECORD = 2;

/** AppendingWriter writes the chain that a process appends to on its own, one batch after another. */
export class AppendingWriter {
  readonly #deps: ChainWriterDependencies;
  #current: Current | undefined;
  #drawn = NONE;
  /** How often this process has drawn numbers elsewhere. */
  #drawnElsewhere = 0;
  /** What the next chain begins with: how the one before it ended. */
  #first: readonly AuditEntry[] = [];

  constructor(deps: ChainWriterDependencies) {
    this.#deps = deps;
  }

  /** append writes a batch, behind a record of tampering if the chain is not as it was. Never call it twice at once. */
  async append(entries: readonly Stamped[]): Promise<void> {
    try {
      for (let tried = 1; ; tried += 1) {
        const current = (this.#current ??= this.#begin());
        if (await this.#write(current, entries)) return;
        if (tried === MAX_CHAINS_TRIED) throw spoilt(current.chain);
      }
    } catch (cause) {
      throw cannotBeWritten(cause);
    }
  }

  /** dropNumbers is told when this process draws numbers elsewhere: those of what comes later must be higher. */
  dropNumbers(): void {
    this.#drawnElsewhere += 1;
    this.#drawn = NONE;
  }

  /** #write gives false, and has written nothing, if the chain is not as this process left it. */
  async #write({ chain, head: before }: Current, entries: readonly Stamped[]): Promise<boolean> {
    const { chains, onDurable } = this.#deps;
    const isFirst = before.seq === 0n;
    const all = isFirst ? [...stamp(this.#first, now(this.#deps)), ...entries] : entries;
    const ids = await this.#ids(all.length);
    const { records, head } = extend(chain, before, all, ids);
    // Where the outcome is not known, the head is not known either: the next records begin another chain.
    this.#current = undefined;
    const drawnElsewhere = this.#drawnElsewhere;
    const more = await chains.append(chain, before, head, records, all.length * DRAWN_PER_RECORD);
    if (more === undefined) {
      this.#current = { chain, head: before };
      await this.#tampered(this.#current);
      return false;
    }
    this.#current = { chain, head };
    if (drawnElsewhere === this.#drawnElsewhere) this.#drawn = { ids: more, at: performance.now() };
    if (isFirst) this.#first = [];
    onDurable?.(chain.chain, head);
    return true;
  }

  /** #ids takes the numbers that the last batch has drawn, if it was just now, and draws those that are missing. */
  async #ids(count: number): Promise<readonly bigint[]> {
    const { ids, at } = this.#drawn;
    this.#drawn = NONE;
    const isFresh = performance.now() - at <= MAX_AGE_MS;
    const drawn = isFresh ? ids.slice(0, count) : [];
    if (drawn.length === count) return drawn;
    return [...drawn, ...(await this.#deps.chains.drawIds(count - drawn.length))];
  }

  async #tampered({ chain, head }: Current): Promise<void> {
    const found = await this.#deps.chains.compare(chain, head);
    const tampering = { chain: chain.chain, purpose: chain.purpose, head, found };
    this.#current = undefined;
    this.#first = withFirst(this.#first, tamperingEntry(tampering));
    this.#deps.onTampering?.(tampering);
  }

  #begin(): Current {
    const chain = newChain(this.#deps.keys, 'APPENDED', now(this.#deps));
    return { chain, head: originOf(chain) };
  }
}
