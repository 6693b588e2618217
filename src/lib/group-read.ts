import { GroupCommit } from './group-commit.js';

interface Pending<Query, Answer> {
  readonly query: Query;
  answer: { readonly is: Answer } | undefined;
}

/**
 * GroupRead answers questions that arrive at the same time together. Those that arrive while a read is under way share
 * the next one: each is answered by a read that began after it came, so nothing is remembered from before.
 */
export class GroupRead<Query, Answer> {
  readonly #reading: GroupCommit<Pending<Query, Answer>>;

  /** `read` gives the answers in the order of the questions, of which there are 1 to `mostQueries`. */
  constructor(read: (queries: readonly Query[]) => Promise<readonly Answer[]>, mostQueries: number) {
    this.#reading = new GroupCommit(async (pending) => {
      const answers = await read(pending.map(({ query }) => query));
      if (answers.length !== pending.length) throw new Error('a read did not answer every question');
      answers.forEach((answer, index) => {
        const each = pending[index];
        if (each !== undefined) each.answer = { is: answer };
      });
    }, mostQueries);
  }

  /** one rejects with the error of the read that its question was in. */
  async one(query: Query): Promise<Answer> {
    const pending: Pending<Query, Answer> = { query, answer: undefined };
    await this.#reading.add(pending);
    if (pending.answer === undefined) throw new Error('a question was not answered');
    return pending.answer.is;
  }
}
