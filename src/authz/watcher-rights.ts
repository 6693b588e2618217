import { Batcher } from '../lib/batcher.js';
import { credentialsRefused } from '../lib/errors.js';
import type { Caller } from './caller.js';
import type { CallerRights } from './rights.js';

/** What is needed of the database. */
export interface UserRightsReader {
  /** ofUsers gives the rights of users in their order; undefined for one who is gone or switched off. */
  ofUsers(userIds: readonly bigint[]): Promise<(CallerRights | undefined)[]>;
}

const MAX_TOGETHER = 1000;

/**
 * WatcherRights reads the rights of those who watch. All watches are woken by one change at the same time: those of
 * all users share a statement.
 */
export class WatcherRights {
  readonly #reading: Batcher<bigint, CallerRights | undefined>;

  constructor(rightsReader: UserRightsReader) {
    this.#reading = new Batcher((userIds) => rightsReader.ofUsers(userIds), { maxItems: MAX_TOGETHER });
  }

  /** of is what a caller may do by now. CREDENTIALS_REFUSED if the user is gone or switched off. */
  async of({ userId }: Caller): Promise<CallerRights> {
    const callerRights = await this.#reading.add(userId);
    if (callerRights === undefined) throw credentialsRefused();
    return callerRights;
  }
}
