import { sameHead, type ChainHead } from './audit-record.js';

/** Written is a head that a transaction has written, and that is not known to be committed. */
interface Written {
  readonly writer: object;
  readonly head: ChainHead;
}

/**
 * KnownHead is what a process knows of the head of a chain that its transactions extend one after another: each locks
 * the chain's row until it ends, so whoever holds the lock knows that those before it have ended. Whatever
 * stands in the row must then be the head last known to be committed, or the one that such a transaction wrote.
 */
export class KnownHead {
  #committed: ChainHead;
  /** At most one is of another writer than the newest: each that locks the row settles what those before it wrote. */
  #written: Written[] = [];
  /** Writers whose records were not there when the next one locked the row: they must have been rolled back. */
  readonly #notThere = new WeakMap<object, ChainHead>();

  constructor(origin: ChainHead) {
    this.#committed = origin;
  }

  /** committed is the newest head that is known to be in the database for good. */
  get committed(): ChainHead {
    return this.#committed;
  }

  /** agrees takes in what a writer found when it had locked the row; false if nobody can have written that. */
  agrees(found: ChainHead, writer: object): boolean {
    const match = this.#written.find(({ head }) => sameHead(head, found));
    if (match === undefined && !sameHead(this.#committed, found)) return false;
    if (match?.writer === writer) return true;
    if (match !== undefined) this.#committed = match.head;
    for (const { writer: other, head } of this.#written) {
      if (other !== match?.writer && other !== writer) this.#notThere.set(other, head);
    }
    this.#written = [];
    return true;
  }

  /** wrote notes the head that a writer has put into the row that it has locked. */
  wrote(head: ChainHead, writer: object): void {
    this.#written.push({ writer, head });
  }

  /**
   * commit notes that a writer's transaction is committed. It gives the head that it wrote if another writer has
   * locked the row since and has not found it: it was cut off in between.
   */
  commit(writer: object): ChainHead | undefined {
    const own = this.#written.findLast((written) => written.writer === writer);
    if (own === undefined) return this.#notThere.get(writer);
    this.#committed = own.head;
    this.#written = this.#written.slice(this.#written.indexOf(own) + 1);
    return undefined;
  }
}
