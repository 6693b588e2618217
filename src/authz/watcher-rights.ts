import { GroupRead } from '../lib/group-read.js';
import { credentialsRefused } from '../lib/errors.js';
import type { Caller } from './caller.js';
import type { Standing } from './rights.js';

/** What is needed of the database. */
export interface Standings {
  /** ofUsers gives the standings of users in their order; undefined for one who is gone or switched off. */
  ofUsers(userIds: readonly bigint[]): Promise<(Standing | undefined)[]>;
}

const MOST_TOGETHER = 1000;

/**
 * WatcherRights reads the standings of those who watch. All watches are woken by one change at the same time: those of
 * all users share a statement.
 */
export class WatcherRights {
  readonly #reading: GroupRead<bigint, Standing | undefined>;

  constructor(standings: Standings) {
    this.#reading = new GroupRead((userIds) => standings.ofUsers(userIds), MOST_TOGETHER);
  }

  /** of is the standing of a caller as it is by now. CREDENTIALS_REFUSED if the user is gone or switched off. */
  async of({ userId }: Caller): Promise<Standing> {
    const standing = await this.#reading.one(userId);
    if (standing === undefined) throw credentialsRefused();
    return standing;
  }
}
