import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { accessTo } from '../../../src/authz/rights.js';
import { CallerRightsRepository } from '../../../src/authz/caller-rights-repository.js';
import { KeywardCallError } from '../../../src/client/index.js';
import { openDatabase } from '../../../src/db/knex.js';
import { TokenRepository } from '../../../src/token/token-repository.js';
import { callerOf } from '../../support/account-api.js';
import { hasMariaDb, startMariaDb } from '../../support/mariadb.js';
import { createSmarterDatabase, readFixture } from '../../support/smarter-source.js';
import { takeOver, type Takeover } from '../../support/takeover.js';

const ROOT = join(import.meta.dirname, '../../..');
const ORACLE = join(ROOT, '../shared/oracle');

/** Whoever may read everything. */
const SUPERUSER = { userId: 1n, isStaff: true, isSuperuser: true, profiles: [{ id: 1n, accountId: 1n }] };

const Case = z.object({
  case: z.string(),
  token: z.string(),
  key_id: z.string().nullish(),
  owner: z.string().nullish(),
  account_number: z.string().nullish(),
  expected: z.object({ valid: z.boolean(), reason: z.string() }),
});
const KeptSecret = z.object({
  case: z.string(),
  id: z.number(),
  hashed_id: z.string(),
  record_locator: z.string(),
  rfc1034_name: z.string().nullable(),
  name: z.string(),
  tags: z.array(z.string()),
  plaintext_b64: z.string().nullable(),
  expected: z.enum(['ok', 'expired', 'undecryptable']),
});
const Oracle = z.object({
  tokens: z.array(Case),
  rejected_tokens: z.array(Case),
  quirk_tokens: z.array(Case),
  fernet_keys: z.object({ current: z.string(), previous: z.array(z.string()) }),
  secrets: z.array(KeptSecret),
  users: z.array(z.object({ id: z.number(), username: z.string(), is_active: z.boolean() })),
  permissions: z.array(
    z.object({
      username: z.string(),
      readable_key_ids: z.array(z.string()),
      owned_key_ids: z.array(z.string()),
      readable_secret_ids: z.array(z.number()),
      owned_secret_ids: z.array(z.number()),
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

interface Source {
  readonly url: string;
  drop(): Promise<void>;
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
  for (const file of ['expected.json', 'fernet-vectors.json', 'smarter-db.sql', 'smarter-db.mysql.sql']) {
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
      takeover = await takeOver(source.url, [oracle.fernet_keys.current, ...oracle.fernet_keys.previous]);
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
      });
      try {
        // The original gives rights to users who are switched off; here they cannot prove who they are.
        await knex('users').update({ is_active: true });
        const rightsReader = new CallerRightsRepository(knex);
        const tokens = new TokenRepository(knex);
        const everything = await tokens.list(SUPERUSER, {
          size: 1000,
          comparisons: [{ field: 'name', operator: '!=', value: 'keyward-admin' }],
          order: [{ field: 'id', descending: false }],
          after: undefined,
          afterId: undefined,
          fingerprint: '',
          reader: { isGone: () => false },
        });
        for (const { username, readable_key_ids: readable, owned_key_ids: owned } of oracle.permissions) {
          const user = oracle.users.find((candidate) => candidate.username === username);
          const callerRights = await rightsReader.of(callerOf({ id: BigInt(user?.id ?? 0), username }));
          const keys = (access: string[]): string[] =>
            everything.items
              .filter(({ owner }) => access.includes(accessTo(callerRights, owner)))
              .map(({ keyId }) => keyId)
              .sort();
          expect(keys(['read', 'manage']), `${username} reads`).toEqual([...readable].sort());
          expect(keys(['manage']), `${username} manages`).toEqual([...owned].sort());
        }
      } finally {
        await knex.destroy();
      }
    });

    test('gives the value of every secret, or says why not, and describes it as the original does', async () => {
      const client = takeover.connect(takeover.adminToken);
      for (const { case: what, ...secret } of oracle.secrets) {
        const selector = { selector: { $case: 'recordLocator' as const, value: secret.record_locator } };
        const access = client.secrets.accessSecret({ secret: selector });
        const value = await access.then(
          ({ payload }) => Buffer.from(payload?.value?.value ?? '').toString('base64'),
          (error: unknown) => (error instanceof KeywardCallError ? error.reason : error),
        );
        const failure = { ok: undefined, expired: 'SECRET_EXPIRED', undecryptable: 'SECRET_UNDECRYPTABLE' };
        expect(value, what).toBe(failure[secret.expected] ?? secret.plaintext_b64);
        const described = (await client.secrets.getSecret({ secret: selector })).secret;
        expect(described, what).toMatchObject({
          id: BigInt(secret.id),
          hashedId: secret.hashed_id,
          rfc1034Name: secret.rfc1034_name ?? '',
          name: secret.name,
        });
        expect(new Set(described?.tags), what).toEqual(new Set(secret.tags));
      }
      client.close();
    });

    test('lets every user read and access the secrets that the original lets them', async () => {
      for (const { username, readable_secret_ids: readable, owned_secret_ids: owned } of oracle.permissions) {
        const token = await takeover.issueToken(username);
        if (token === undefined) {
          expect([readable, owned], `${username} has no profile`).toEqual([[], []]);
          continue;
        }
        const client = takeover.connect(token);
        const { secrets } = await client.secrets.listSecrets({ pageSize: 1000 });
        const ids = secrets.map(({ id }) => Number(id)).sort((a, b) => a - b);
        expect(ids, `${username} reads`).toEqual(readable);
        const requests = oracle.secrets.map(({ id }) => {
          return { secret: { selector: { $case: 'id' as const, value: BigInt(id) } } };
        });
        const { results } = await client.secrets.batchAccessSecrets({ requests });
        const refusals = new Set<number | undefined>([status.NOT_FOUND, status.PERMISSION_DENIED]);
        const accessible = oracle.secrets.filter((_, index) => {
          const result = results[index]?.result;
          return result?.$case === 'access' || !refusals.has(result?.value.code);
        });
        expect(
          accessible.map(({ id }) => id),
          `${username} accesses`,
        ).toEqual(owned);
        client.close();
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
