import type { Transaction } from '../db/knex.js';
import type { AuditEntry } from './audit-entry.js';
import { extend, newChain, originOf, type Chain, type ChainHead } from './audit-record.js';
import {
  MAX_CHAINS_TRIED,
  now,
  spoilt,
  stamp,
  withFirst,
  type ChainWriterDependencies,
} from './chain-writer.js';
import { KnownHead } from './known-head.js';
import { tamperingEntry, type Finding } from './tampering.js';

/** Current is the chain that is written, with what is known of its head. */
interface Current {
  readonly chain: Chain;
  readonly known: KnownHead;
  /** What the chain begins with: how the one before it ended. */
  readonly first: readonly AuditEntry[];
}

/** Lane is a chain after the other for one transaction after the other. */
interface Lane {
  current: Current;
}

/**
 * ChangesWriter writes the chains that the changes of a process extend in their own transactions. A chain is locked until
 * its transaction ends, and that may have to wait, for its revision or for a slow disk: so transactions that are under way
 * at the same time have a chain each, and none waits for another. There are as many as there were changes at once.
 */
export class ChangesWriter {
  readonly #deps: ChainWriterDependencies;
  /** By outermost transaction. */
  readonly #taken = new WeakMap<Transaction, Lane>();
  readonly #free: Lane[] = [];

  constructor(deps: ChainWriterDependencies) {
    this.#deps = deps;
  }

  /** record writes in the transaction of a change, behind a record of tampering if the chain is not as it was. */
  async record(trx: Transaction, entries: readonly AuditEntry[]): Promise<void> {
    const lane = this.#laneOf(outermost(trx));
    for (let tried = 1; ; tried += 1) {
      if (await this.#write(trx, lane, entries)) return;
      const { current } = lane;
      const head = current.known.committed;
      this.#replace(lane, current, head, await this.#deps.chains.compare(current.chain, head, trx));
      if (tried === MAX_CHAINS_TRIED) throw spoilt(current.chain);
    }
  }

  #laneOf(writer: Transaction): Lane {
    const taken = this.#taken.get(writer);
    if (taken !== undefined) return taken;
    const lane = this.#free.pop() ?? { current: this.#begin([]) };
    this.#taken.set(writer, lane);
    writer.executionPromise.then(
      () => this.#free.push(lane),
      // It may be that the server still works for it, and holds the chain: others are taken first.
      () => this.#free.unshift(lane),
    );
    return lane;
  }

  /** #write gives false, and has written nothing, if the chain is not as this process left it. */
  async #write(trx: Transaction, lane: Lane, entries: readonly AuditEntry[]): Promise<boolean> {
    const { chains } = this.#deps;
    const { current } = lane;
    const { chain, known, first } = current;
    const occurredAt = now(this.#deps);
    const writer = outermost(trx);
    // Only of a chain that is not known to be there it may be that its row is not.
    const mayBegin = known.committed.seq === 0n;
    const count = entries.length + (mayBegin ? first.length : 0);
    const locked =
      (await chains.lockHead(trx, chain, count)) ??
      (mayBegin ? await chains.begin(trx, chain, count) : undefined);
    if (locked === undefined) return false;
    const before = known.committed;
    if (!known.agrees(locked.head, writer)) return false;
    if (known.committed !== before) this.#durable(current);
    const all = locked.head.seq === 0n ? [...first, ...entries] : entries;
    const { records, head } = extend(chain, locked.head, stamp(all, occurredAt), locked.ids);
    if (!(await chains.extend(trx, chain, locked.head, head, records))) return false;
    known.wrote(head, writer);
    this.#follow(trx, lane, current);
    return true;
  }

  /**
   * #follow notes the commit of a transaction. Of one within another it is not asked: that is committed only when
   * the outermost is, which the next writer sees.
   */
  #follow(trx: Transaction, lane: Lane, current: Current): void {
    if (trx.parentTransaction !== undefined) return;
    const committed = (): void => {
      const cut = current.known.commit(trx);
      if (cut !== undefined) this.#replace(lane, current, cut, 'HEAD_CHANGED');
      else this.#durable(current);
    };
    trx.executionPromise.then(committed, () => undefined);
  }

  #durable({ chain, known }: Current): void {
    this.#deps.onDurable?.(chain.chain, known.committed);
  }

  /** #replace begins another chain, with the record of what was found. */
  #replace(lane: Lane, current: Current, head: ChainHead, found: Finding): void {
    // It may be found twice: when something is to be written, and when what was written is to be committed.
    if (lane.current !== current) return;
    const { chain, known, first } = current;
    const tampering = { chain: chain.chain, purpose: chain.purpose, head, found };
    lane.current = this.#begin(withFirst(known.committed.seq === 0n ? first : [], tamperingEntry(tampering)));
    this.#deps.onTampering?.(tampering);
  }

  #begin(first: readonly AuditEntry[]): Current {
    const chain = newChain(this.#deps.keys, 'CHANGES', now(this.#deps));
    return { chain, known: new KnownHead(originOf(chain)), first };
  }
}

/** outermost is the transaction whose end decides about this one. */
function outermost(trx: Transaction): Transaction {
  return trx.parentTransaction === undefined ? trx : outermost(trx.parentTransaction);
}
