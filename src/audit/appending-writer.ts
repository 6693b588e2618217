import type { AuditEntry } from './audit-entry.js';
import { extend, newChain, originOf, type Chain, type ChainHead, type Stamped } from './audit-record.js';
import {
  cannotBeWritten,
  MOST_CHAINS_TRIED,
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

/** AppendingWriter writes the chain that a process appends to on its own, one batch after another. */
export class AppendingWriter {
  readonly #deps: ChainWriterDependencies;
  #current: Current | undefined;
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
        if (tried === MOST_CHAINS_TRIED) throw spoilt(current.chain);
      }
    } catch (cause) {
      throw cannotBeWritten(cause);
    }
  }

  /** #write gives false, and has written nothing, if the chain is not as this process left it. */
  async #write({ chain, head: before }: Current, entries: readonly Stamped[]): Promise<boolean> {
    const { chains, onDurable } = this.#deps;
    const isFirst = before.seq === 0n;
    const all = isFirst ? [...stamp(this.#first, now(this.#deps)), ...entries] : entries;
    const ids = await chains.drawIds(all.length);
    const { records, head } = extend(chain, before, all, ids);
    // Where the outcome is not known, the head is not known either: the next records begin another chain.
    this.#current = undefined;
    if (!(await chains.append(chain, before, head, records))) {
      this.#current = { chain, head: before };
      await this.#tampered(this.#current);
      return false;
    }
    this.#current = { chain, head };
    if (isFirst) this.#first = [];
    onDurable?.(chain.chain, head);
    return true;
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
