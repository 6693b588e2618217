import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { accessTo } from '../../src/account/rights.js';
import { StandingRepository } from '../../src/account/standing-repository.js';
import { loadConfig } from '../../src/config.js';
import { openDatabase } from '../../src/db/knex.js';
import { systemClock } from '../../src/lib/clock.js';
import { startServer, type RunningServer } from '../../src/server.js';
import { createLogger } from '../../src/telemetry/logger.js';
import { TokenRepository } from '../../src/token/token-repository.js';
import { createTestDatabase, type TestDatabase } from '../support/database.js';
import { keyward } from '../support/keyward-command.js';
import { hasMariaDb, startMariaDb } from '../support/mariadb.js';
import { createSmarterDatabase, readFixture } from '../support/smarter-source.js';

const ROOT = join(import.meta.dirname, '../..');
const ORACLE = join(ROOT, '../shared/oracle');

const Case = z.object({
  case: z.string(),
  token: z.string(),
  key_id: z.string().nullish(),
  owner: z.string().nullish(),
  account_number: z.string().nullish(),
  expected: z.object({ valid: z.boolean(), reason: z.string() }),
});
const Oracle = z.object({
  tokens: z.array(Case),
  rejected_tokens: z.array(Case),
  quirk_tokens: z.array(Case),
  users: z.array(z.object({ id: z.number(), username: z.string(), is_active: z.boolean() })),
  permissions: z.array(
    z.object({
      username: z.string(),
      readable_key_ids: z.array(z.string()),
      owned_key_ids: z.array(z.string()),
    }),
  ),
});
type Oracle = z.infer<typeof Oracle>;

const Verdict = z.strictObject({
  valid: z.boolean(),
  reason: z.string(),
  keyId: z.string(),
  username: z.string(),
  accountNumber: z.string(),
});
const Counts = z.object({ created: z.number(), updated: z.number(), merged: z.number() });
const Report = z.object({ counts: z.record(z.string(), Counts) });

interface Source {
  readonly url: string;
  drop(): Promise<void>;
}

/** Takeover is a Keyward that has taken a platform over by its own commands, as an operator would. */
interface Takeover {
  readonly database: TestDatabase;
  readonly server: RunningServer;
  readonly adminToken: string;
  readonly reports: z.infer<typeof Report>[];
  run(args: readonly string[], input?: string): Promise<string>;
  end(): Promise<void>;
}

async function takeOver(sourceUrl: string): Promise<Takeover> {
  const database = await createTestDatabase();
  const env = { ...process.env, DATABASE_URL: database.url, KEYWARD_IMPORT_FROM: sourceUrl };
  const adminToken = (await keyward(['bootstrap'], { env })).trim();
  const reports: z.infer<typeof Report>[] = [];
  for (let run = 1; run <= 2; run += 1) {
    reports.push(Report.parse(JSON.parse(await keyward(['import-smarter', '--json'], { env }))));
  }
  const server = await startServer({
    config: loadConfig({ KEYWARD_LISTEN: '127.0.0.1:0' }),
    databaseUrl: database.url,
    clock: systemClock,
    logger: createLogger('silent'),
  });
  const clientEnv = { ...env, KEYWARD_SERVER: `127.0.0.1:${server.port}`, KEYWARD_TOKEN: adminToken };
  return {
    database,
    server,
    adminToken,
    reports,
    run: (args, input = '') => keyward(args, { env: clientEnv, input }),
    end: async () => {
      await server.stop();
      await database.drop();
    },
  };
}

async function readOracle(path: string): Promise<Oracle> {
  return Oracle.parse(JSON.parse(await readFile(path, 'utf8')));
}

const sources: Record<string, { available: boolean; make: () => Promise<Source> }> = {
  PostgreSQL: { available: true, make: createSmarterDatabase },
  MariaDB: {
    available: hasMariaDb(),
    make: async () => {
      const server = await startMariaDb();
      const url = await server.createDatabase('smarter', await readFixture('smarter-db.mysql.sql'));
      return { url, drop: () => server.stop() };
    },
  },
};

test('the fixtures are those of the oracle', async ({ skip }) => {
  if (!existsSync(ORACLE)) skip('there is no ../shared/oracle beside this checkout to compare with');
  for (const file of ['expected.json', 'smarter-db.sql', 'smarter-db.mysql.sql']) {
    expect(await readFixture(file)).toBe(await readFile(join(ORACLE, file), 'utf8'));
  }
});

for (const [name, { available, make }] of Object.entries(sources)) {
  if (!available) console.warn(`SKIPPED: taking over from ${name}, which is not installed here`);
  describe.skipIf(!available)(`a platform taken over from ${name}`, () => {
    let source: Source;
    let takeover: Takeover;
    let oracle: Oracle;

    beforeAll(async () => {
      oracle = await readOracle(join(ROOT, 'test/fixtures/smarter/expected.json'));
      source = await make();
      takeover = await takeOver(source.url);
    });

    afterAll(async () => {
      await takeover.end();
      await source.drop();
    });

    test('changes nothing when it is imported again', () => {
      const [first, second] = takeover.reports;
      expect(first?.counts['token']?.created).toBeGreaterThan(0);
      for (const counts of Object.values(second?.counts ?? {})) {
        expect(counts).toMatchObject({ created: 0, updated: 0, merged: 0 });
      }
    });

    test('gives the verdict of the original for every key, every refused text and every quirk', async () => {
      const cases = [...oracle.tokens, ...oracle.rejected_tokens, ...oracle.quirk_tokens];
      const input = cases.map(({ token }) => `${JSON.stringify(token)}\n`).join('');
      const output = await takeover.run(['validate', '--json', '-'], input);
      const verdicts = output
        .trimEnd()
        .split('\n')
        .map((line) => Verdict.parse(JSON.parse(line)));
      expect(verdicts).toHaveLength(cases.length);
      cases.forEach(
        ({ case: what, token: _, key_id: keyId, expected, owner, account_number: account }, index) => {
          const isKnown = expected.reason !== 'unknown';
          expect(verdicts[index], what).toEqual({
            valid: expected.valid,
            reason: expected.reason.toUpperCase(),
            keyId: isKnown ? keyId : '',
            username: expected.valid ? owner : '',
            accountNumber: expected.valid ? account : '',
          });
        },
      );
    });

    test('gives every user the rights that the original gives', async () => {
      const knex = openDatabase({
        url: takeover.database.url,
        poolSize: 2,
        connectTimeoutMs: 5000,
        statementTimeoutMs: 0,
      });
      try {
        // The original gives rights to users who are switched off; here they cannot prove who they are.
        await knex('users').update({ is_active: true });
        const standings = new StandingRepository(knex);
        const tokens = new TokenRepository(knex);
        const everything = await tokens.list('everything', {
          size: 1000,
          comparisons: [{ field: 'name', operator: '!=', value: 'keyward-admin' }],
          order: [{ field: 'id', descending: false }],
          after: undefined,
          fingerprint: '',
        });
        for (const { username, readable_key_ids: readable, owned_key_ids: owned } of oracle.permissions) {
          const user = oracle.users.find((candidate) => candidate.username === username);
          const caller = { username, profileId: undefined, keyId: undefined, scopes: ['*'] };
          const standing = await standings.of({ ...caller, userId: BigInt(user?.id ?? 0) });
          const keys = (access: string[]): string[] =>
            everything.items
              .filter(({ owner }) => access.includes(accessTo(standing, owner)))
              .map(({ keyId }) => keyId)
              .sort();
          expect(keys(['read', 'manage']), `${username} reads`).toEqual([...readable].sort());
          expect(keys(['manage']), `${username} manages`).toEqual([...owned].sort());
        }
      } finally {
        await knex.destroy();
      }
    });

    test('leaves the admin token of the operator as it was', async () => {
      const verdict = Verdict.parse(
        JSON.parse(await takeover.run(['validate', '--json', takeover.adminToken])),
      );
      expect(verdict).toMatchObject({ valid: true, username: 'admin' });
    });
  });
}
