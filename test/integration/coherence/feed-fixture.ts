import pg from 'pg';
import { expect } from 'vitest';
import { ChangeListener, type HeardNotice } from '../../support/change-listener.js';
import { createTestDatabase, type TestDatabase } from '../../support/database.js';
import { digestOfToken, insertTokens, OWNER_ROWS } from '../../support/token-rows.js';

type Notified = Omit<HeardNotice, 'revision' | 'epoch'>;

export const NOTHING: Notified = {
  all: false,
  digests: [],
  users: [],
  accounts: [],
  profiles: [],
  barriers: [],
};
export const EVERYTHING: Notified = { ...NOTHING, all: true };

/** digests are those of tokens by their numbers, as `heard` gives them. */
export function digests(...ids: number[]): string[] {
  return ids.map(digestOfToken).toSorted();
}

/** FeedFixture is a database with three tokens of one owner, someone who writes there, and someone who listens. */
export class FeedFixture {
  readonly writer: pg.Client;
  readonly listener: ChangeListener;
  readonly #database: TestDatabase;

  private constructor(database: TestDatabase, writer: pg.Client, listener: ChangeListener) {
    this.#database = database;
    this.writer = writer;
    this.listener = listener;
  }

  static async open(): Promise<FeedFixture> {
    const database = await createTestDatabase();
    const writer = new pg.Client({ connectionString: database.url });
    await writer.connect();
    return new FeedFixture(database, writer, await ChangeListener.open(database.url));
  }

  /** reset makes the rows what they were at first, and forgets what was heard. */
  async reset(): Promise<void> {
    await this.writer.query('TRUNCATE accounts, users CASCADE');
    await this.writer.query(OWNER_ROWS);
    await insertTokens(this.writer, 1, 3);
    await this.listener.take();
  }

  /** withOther runs something with a second connection. */
  async withOther(work: (other: pg.Client) => Promise<void>): Promise<void> {
    const other = new pg.Client({ connectionString: this.#database.url });
    await other.connect();
    try {
      await work(other);
    } finally {
      await other.end();
    }
  }

  /** heard is what was notified since it was last asked for, without revisions and epochs, digests in order. */
  async heard(): Promise<Notified[]> {
    return (await this.listener.take()).map(({ revision, epoch, ...notice }) => {
      expect(revision).toMatch(/^[1-9]\d*$/);
      expect(epoch).toMatch(/^[0-9a-f-]{36}$/);
      return { ...notice, digests: notice.digests.toSorted() };
    });
  }

  /** changes are those of the latest revision. */
  async changes(): Promise<Record<string, unknown>[]> {
    const { rows } = await this.writer.query<{ changes: Record<string, unknown>[] }>(
      'SELECT changes FROM change_feed ORDER BY revision DESC LIMIT 1',
    );
    return rows[0]?.changes ?? [];
  }

  async close(): Promise<void> {
    await this.listener.close();
    await this.writer.end();
    await this.#database.drop();
  }
}
