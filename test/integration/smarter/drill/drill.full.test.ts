import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { z } from 'zod';
import { connect, type KeywardClient } from '../../../../src/client/index.js';
import { systemClock } from '../../../../src/lib/clock.js';
import { createTestDatabase, type TestDatabase } from '../../../support/database.js';
import { DjangoPlatform, hasDjango } from '../../../support/django-platform.js';
import { extent } from '../../../support/extent.js';
import { ringOf } from '../../../support/import-target.js';
import { TEST_KEY } from '../../../support/keyring.js';
import { keyward } from '../../../support/keyward-command.js';
import { Random } from '../../../support/random.js';
import { startTestServer, type TestServer } from '../../../support/server.js';
import { SMARTER_ENGINES } from '../../../support/smarter-engines.js';
import { execute } from '../../../support/sql.js';
import { readFixture, type SmarterDatabase } from '../../../support/smarter-source.js';
import { BothSides, wrongVerdicts } from './agreement.js';
import { Copiers, Note } from './copiers.js';
import { Key, User, type Estate } from './estate.js';
import { Journal } from './journal.js';
import { Sequence } from './sequence.js';
import { KeywardSide, PlatformSide } from './sides.js';

const OPERATIONS = extent('DRILL_OPERATIONS', 200, 200);
const SEED = Number(process.env['DRILL_SEED'] ?? Math.floor(Math.random() * 2 ** 31));
/** Whether the commands go on beside the operations (`--follow`), or run now and then. */
const IS_FOLLOWING = process.env['DRILL_FOLLOW'] === '1';
const BETWEEN_COPIES = 12;
const ROUNDS = 4;
/** Half seconds without a change after which followers have nothing more to bring across. */
const QUIET_LOOKS = 12;

const Oracle = z.object({
  tokens: z.array(
    z.object({
      token: z.string(),
      key_id: z.string(),
      owner: z.string(),
      owner_id: z.number(),
      user_profile_id: z.number(),
      name: z.string(),
    }),
  ),
  users: z.array(z.object({ username: z.string(), is_active: z.boolean() })),
  fernet_keys: z.object({ current: z.string(), previous: z.array(z.string()) }),
});

for (const [engine, { available, make }] of Object.entries(SMARTER_ENGINES)) {
  describe.skipIf(!available || !hasDjango())(`beside a platform of real Django on ${engine}`, () => {
    let platform: SmarterDatabase;
    let database: TestDatabase;
    let django: DjangoPlatform;
    let server: TestServer;
    let client: KeywardClient;
    let copiers: Copiers;
    let estate: Estate;
    let random: Random;
    let journal: Journal;
    let token: string;
    let env: Record<string, string>;

    beforeEach(async () => {
      console.log(`DRILL_SEED=${SEED} DRILL_OPERATIONS=${OPERATIONS} on ${engine}`);
      random = new Random(SEED);
      journal = new Journal();
      const oracle = Oracle.parse(JSON.parse(await readFixture('expected.json')));
      const { current, previous } = oracle.fernet_keys;
      platform = await make();
      database = await createTestDatabase();
      env = {
        DATABASE_URL: database.url,
        KEYWARD_FERNET_KEYS: [TEST_KEY, current, ...previous].join(),
        KEYWARD_IMPORT_FROM: platform.url,
      };
      django = new DjangoPlatform(platform.url, current);
      token = (await keyward(['bootstrap'], { env })).trim();
      copiers = new Copiers(random, journal, env, platform.url, ringOf(current).primaryId);
      await copiers.once('import');
      await openService();
      estate = { users: [], keys: [], secrets: [] };
      for (const made of oracle.tokens) {
        const owner = new User(made.owner, made.owner_id, made.user_profile_id);
        owner.isActive = oracle.users.some((each) => each.username === made.owner && each.is_active);
        const key = new Key(owner, 'platform', made.key_id, made.token, made.name);
        // What it was before the drill counts as done by both.
        key.touchedBy.add('platform').add('keyward');
        estate.keys.push(key);
      }
    });

    afterEach(async () => {
      await closeService();
      await django.stop();
      await database.drop();
      await platform.drop();
    });

    async function openService(): Promise<void> {
      server = await startTestServer({ databaseUrl: database.url, clock: systemClock, env });
      client = connect({ server: server.address, token });
    }

    /** closeService also writes which keys were used. */
    async function closeService(): Promise<void> {
      client.close();
      await server.stop();
    }

    /** operate does all operations, while commands bring them across that are killed now and then. */
    async function operate(platformSide: PlatformSide): Promise<void> {
      const sequence = new Sequence(
        random,
        estate,
        journal.of('platform', platformSide),
        journal.of('keyward', new KeywardSide(client, database.url)),
      );
      for (let user = 0; user < 4; user += 1) await sequence.createUser(`user-${user}`);
      if (IS_FOLLOWING) copiers.follow();
      let copying: Promise<unknown> = Promise.resolve();
      for (let done = 0; done < OPERATIONS; done += 1) {
        if (random.below(BETWEEN_COPIES) === 0) {
          await copying;
          copying = IS_FOLLOWING ? copiers.killFollower() : copiers.some();
        }
        await sequence.next();
      }
      await sequence.endUses();
      await copying;
      if (!IS_FOLLOWING) return;
      await quiet();
      await copiers.endFollowing();
    }

    /** quiet waits until nothing has changed any more on either side for a while. */
    async function quiet(): Promise<void> {
      const both = new BothSides(django, client, database.url);
      let last = '';
      let same = 0;
      const look = async (): Promise<void> => {
        const now = JSON.stringify(withoutUses(await both.lists([])));
        same = now === last ? same + 1 : 0;
        last = now;
        if (same < QUIET_LOOKS) throw new Error(`the two are not quiet: ${last}\n${copiers.told}`);
      };
      await copiers.inStep();
      await vi.waitFor(look, { timeout: 120_000, interval: 500 });
    }

    /** conflicts are left to an operator: whoever told of them may have been killed before it could. */
    async function conflicts(): Promise<Note[]> {
      const sql = 'SELECT kind, source_key AS key, field AS what FROM import_conflicts';
      return z.array(Note).parse(await execute(database.url, sql));
    }

    /** settle brings everything across until there is nothing to bring. */
    async function settle(): Promise<void> {
      for (let round = 0; round < ROUNDS; round += 1) {
        const written = (await copiers.once('import')) + (await copiers.once('export'));
        if (written === 0) return;
        if (IS_FOLLOWING) throw new Error(`the followers have left ${written} rows to write`);
      }
      throw new Error(`after ${ROUNDS} rounds the two still write to each other`);
    }

    test(
      `after ${OPERATIONS} operations on both sides, with commands killed between, both say the same`,
      { timeout: 120_000 + OPERATIONS * 2_000 },
      async () => {
        const platformSide = new PlatformSide(django, database.url);
        await operate(platformSide);
        await closeService();
        await settle();
        await openService();

        const both = new BothSides(django, client, database.url);
        const notes = [...copiers.notes, ...(await conflicts())];
        const differences = await both.lists(notes);
        expect(differences, journal.about(differences)).toEqual([]);
        const verdicts = await both.judge(estate.keys.flatMap(({ texts }) => texts));
        const wrongs = wrongVerdicts(estate, verdicts);
        expect(wrongs, journal.about(wrongs)).toEqual([]);
        const { killed, completed } = copiers;
        console.log(
          `${estate.keys.length} keys, ${estate.secrets.length} secrets, ${killed} commands killed, ${completed} complete, ${platformSide.deadlocks} deadlocks`,
        );
      },
    );
  });
}

/** withoutUses leaves out when keys were used: the drill's own is by every look. */
function withoutUses(lines: readonly string[]): string[] {
  return lines
    .filter((line) => !line.includes(': lastUsedAt is '))
    .map((line) => line.replace(/"lastUsedAt":"[^"]*"/, ''));
}
