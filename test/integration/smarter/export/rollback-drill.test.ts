import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { connect, type KeywardClient } from '../../../../src/client/index.js';
import { digestOf } from '../../../../src/crypto/digest.js';
import { systemClock } from '../../../../src/lib/clock.js';
import { presentOf } from '../../../../src/lib/instant.js';
import { connectSource } from '../../../../src/smarter/connect-source.js';
import { findDjangoFacts } from '../../../../src/smarter/shadow/django-facts.js';
import { djangoVerdict } from '../../../../src/smarter/shadow/django-verdict.js';
import { createTestDatabase, type TestDatabase } from '../../../support/database.js';
import { ringOf } from '../../../support/import-target.js';
import { TEST_KEY } from '../../../support/keyring.js';
import { keyward, runKeyward } from '../../../support/keyward-command.js';
import { startTestServer, type TestServer } from '../../../support/server.js';
import { SMARTER_ENGINES } from '../../../support/smarter-engines.js';
import { readFixture, type SmarterDatabase } from '../../../support/smarter-source.js';
import { execute } from '../../../support/sql.js';
import { textOf } from '../../../support/world.js';

const Note = z.object({ kind: z.string(), key: z.string(), what: z.string() });
const Counts = z.object({
  created: z.number(),
  updated: z.number(),
  deleted: z.number(),
  used: z.number(),
  unchanged: z.number(),
  leftOut: z.number(),
});
const Report = z.object({
  counts: z.object({ user: Counts, token: Counts, secret: Counts }),
  notes: z.array(Note),
  staysInKeyward: z.array(z.object({ name: z.string(), values: z.number() })),
});
const Case = z.object({
  token: z.string(),
  key_id: z.string().nullish(),
  owner: z.string().nullish(),
  name: z.string().nullish(),
  expected: z.object({ valid: z.boolean(), reason: z.string() }),
});
const Oracle = z.object({
  tokens: z.array(Case),
  quirk_tokens: z.array(Case),
  fernet_keys: z.object({ current: z.string(), previous: z.array(z.string()) }),
  secrets: z.array(z.object({ id: z.number(), expected: z.string() })),
});
const Differences = z.object({
  differences: z.array(
    z.object({ key: z.string(), name: z.string(), causes: z.array(z.object({ fact: z.string() })) }),
  ),
});
const NOTHING_WRITTEN = { created: 0, updated: 0, deleted: 0, used: 0 };
/** The user profile of alice, who is staff. */
const ALICE = { selector: { $case: 'id', value: 2n } } as const;
const DAY = { seconds: 86_400n, nanos: 0 };

for (const [engine, { available, make }] of Object.entries(SMARTER_ENGINES)) {
  describe.skipIf(!available)(`a platform on ${engine} that was cut over`, () => {
    let source: SmarterDatabase;
    let database: TestDatabase;
    let server: TestServer;
    let admin: KeywardClient;
    let adminToken: string;
    let oracle: z.infer<typeof Oracle>;
    let env: Record<string, string>;
    let platformKey: string;

    beforeEach(async () => {
      oracle = Oracle.parse(JSON.parse(await readFixture('expected.json')));
      source = await make();
      database = await createTestDatabase();
      const smarterKeys = [oracle.fernet_keys.current, ...oracle.fernet_keys.previous];
      platformKey = ringOf(oracle.fernet_keys.current).primaryId;
      env = {
        DATABASE_URL: database.url,
        KEYWARD_FERNET_KEYS: [TEST_KEY, ...smarterKeys].join(),
        KEYWARD_IMPORT_FROM: source.url,
        KEYWARD_EXPORT_TO: source.url,
      };
      adminToken = (await keyward(['bootstrap'], { env })).trim();
      await keyward(['import-smarter'], { env });
      server = await startTestServer({ databaseUrl: database.url, clock: systemClock, env });
      admin = connect({ server: server.address, token: adminToken });
    });

    afterEach(async () => {
      admin.close();
      await server.stop();
      await database.drop();
      await source.drop();
    });

    async function exportBack(...args: string[]) {
      const command = ['export-smarter', '--secret-key', platformKey, '--json', ...args];
      return Report.parse(JSON.parse(await keyward(command, { env })));
    }

    /** judgeThere judges texts by the platform's tables alone. */
    async function judgeThere(texts: readonly string[]): Promise<string[]> {
      const there = await connectSource(source.url);
      try {
        const digests = texts.map((text) => digestOf(text));
        const found = await findDjangoFacts(there, digests);
        const now = presentOf(systemClock);
        return texts.map((text, index) => djangoVerdict(found.get(digests[index] ?? ''), now, text));
      } finally {
        await there.close();
      }
    }

    async function judgeHere(texts: readonly string[]): Promise<boolean[]> {
      const requests = texts.map((token) => ({ token }));
      const { responses } = await admin.tokens.batchValidateTokens({ requests });
      return responses.map(({ valid }) => valid);
    }

    /** goodKeys are keys that are valid on both sides, each with its selector. */
    function goodKeys() {
      return oracle.tokens
        .filter(({ expected, owner }) => expected.valid && owner !== 'bob')
        .map(({ token, key_id: keyId }) => ({
          text: token,
          keyId: keyId ?? '',
          selector: { selector: { $case: 'keyId' as const, value: keyId ?? '' } },
        }));
    }

    test('an export right after an import writes nothing but what Keyward made', async () => {
      const report = await exportBack();
      expect(report.counts.user).toMatchObject(NOTHING_WRITTEN);
      expect(report.counts.secret).toMatchObject(NOTHING_WRITTEN);
      // The token of the operator, whose user the import found on the platform.
      expect(report.counts.token).toMatchObject({ ...NOTHING_WRITTEN, created: 1 });
      expect(await judgeThere([adminToken])).toEqual(['OK']);
    });

    test('after the way back nothing revoked is accepted and nothing valid is refused', async () => {
      const before = await judgeThere(oracle.tokens.map(({ token }) => token));
      const good = goodKeys();
      const [rotated, inGrace, off, revoked, expired, renamed, narrowed, used] = good;
      if (!rotated || !inGrace || !off || !revoked || !expired || !renamed || !narrowed || !used) {
        throw new Error('there are too few keys');
      }
      const made = await admin.tokens.createToken({
        owner: ALICE,
        name: 'made here',
        tags: ['one', 'zwei'],
      });
      const short = await admin.tokens.createToken({
        owner: ALICE,
        name: 'narrow',
        scopes: ['orders:read'],
      });
      const texts = [...oracle.tokens.map(({ token }) => token), made.plaintext, short.plaintext];
      texts.push((await admin.tokens.rotateToken({ selector: rotated.selector })).plaintext);
      texts.push(
        (await admin.tokens.rotateToken({ selector: inGrace.selector, gracePeriod: DAY })).plaintext,
      );
      await admin.tokens.deactivateToken({ selector: off.selector });
      await admin.tokens.revokeToken({ selector: revoked.selector });
      await admin.tokens.updateToken({
        selector: expired.selector,
        token: { expiresAt: { seconds: 4_000_000_000n, nanos: 0 }, description: 'changed here' },
        updateMask: ['expires_at', 'description'],
      });
      await admin.tokens.renameToken({ selector: renamed.selector, newName: 'renamed here' });
      await admin.tokens.updateToken({
        selector: narrowed.selector,
        token: { scopes: ['orders:read'] },
        updateMask: ['scopes'],
      });
      await admin.accounts.updateUser({
        selector: { selector: { $case: 'username', value: 'bob' } },
        user: { isActive: false },
        updateMask: ['is_active'],
      });
      const reactivated = oracle.tokens.find(({ expected }) => expected.reason === 'inactive');
      if (reactivated !== undefined) {
        await admin.tokens.activateToken({
          selector: { selector: { $case: 'keyId', value: reactivated.key_id ?? '' } },
        });
      }

      const dry = await exportBack('--dry-run');
      expect(await judgeThere(oracle.tokens.map(({ token }) => token))).toEqual(before);
      const report = await exportBack();
      expect(dry.counts).toEqual(report.counts);
      expect(report.counts.user.updated).toBe(1);
      expect(report.counts.token).toMatchObject({ created: 3, deleted: 1 });

      const here = await judgeHere(texts);
      const there = await judgeThere(texts);
      const told = new Set(report.notes.map(({ key }) => key));
      const keyIdOf = new Map(oracle.tokens.map(({ token, key_id: keyId }) => [token, keyId ?? '']));
      keyIdOf.set(short.plaintext, short.token?.keyId ?? '');
      const failedBefore = new Set(
        oracle.tokens.filter((_, index) => before[index] === 'FAILS').map(({ token }) => token),
      );
      texts.forEach((text, index) => {
        const keyId = keyIdOf.get(text) ?? 'made here';
        if (here[index] !== true) expect(there[index], `refused here: ${keyId}`).not.toBe('OK');
        else if (there[index] !== 'OK')
          expect(told.has(keyId) || failedBefore.has(text), `valid here: ${keyId}`).toBe(true);
      });
      const verdictOf = (text: string) => there[texts.indexOf(text)];
      expect(verdictOf(made.plaintext)).toBe('OK');
      expect(verdictOf(short.plaintext)).toBe('INACTIVE');
      expect(verdictOf(rotated.text)).toBe('UNKNOWN');
      expect(verdictOf(revoked.text)).toBe('UNKNOWN');
      expect(verdictOf(off.text)).toBe('INACTIVE');
      expect(there.slice(-2)).toEqual(['OK', 'OK']);
      expect(report.notes.map(({ what }) => what).join()).toContain('is refused there');

      const { stdout } = await runKeyward(['shadow', '--back', '--json'], { env });
      const { differences } = Differences.parse(JSON.parse(stdout));
      for (const { key, name, causes } of differences) {
        const isOfAccount = causes.some(({ fact }) => fact === 'account activity');
        expect(told.has(key) || isOfAccount, `${name}: ${JSON.stringify(causes)}`).toBe(true);
      }

      const again = await exportBack();
      for (const kind of ['user', 'token', 'secret'] as const) {
        expect(again.counts[kind], kind).toMatchObject(NOTHING_WRITTEN);
      }
      const imported = z
        .object({ counts: z.record(z.string(), z.object({ created: z.number(), updated: z.number() })) })
        .parse(JSON.parse(await keyward(['import-smarter', '--json'], { env })));
      for (const [kind, counts] of Object.entries(imported.counts)) {
        expect(counts, kind).toMatchObject({ created: 0, updated: 0 });
      }
      expect(await judgeHere(texts)).toEqual(here);
    });

    test('secrets go back under the key of the platform, each recorded before it leaves', async () => {
      const readable = oracle.secrets.filter(({ expected }) => expected === 'ok');
      const [changed, gone] = readable;
      if (!changed || !gone) throw new Error('there are too few secrets');
      const byId = (id: number) => ({ selector: { $case: 'id' as const, value: BigInt(id) } });
      await admin.secrets.createSecret({
        owner: ALICE,
        name: 'made here',
        payload: textOf('käse'),
        tags: ['New Tag', 'other'],
        annotations: new Map([['a', 'b']]),
      });
      await admin.secrets.createSecret({
        owner: ALICE,
        name: 'binary',
        payload: { value: { $case: 'data', value: Buffer.from([0xff, 0]) } },
      });
      await admin.secrets.addSecretVersion({ selector: byId(changed.id), payload: textOf('new value') });
      await admin.secrets.deleteSecret({ selector: byId(gone.id) });

      const report = await exportBack();
      expect(report.counts.secret).toMatchObject({ created: 1, updated: 1, deleted: 1, leftOut: 1 });
      const exported = await execute(
        database.url,
        `SELECT action FROM audit_events WHERE detail ->> 'purpose' = 'export' OR action = 'DATA_EXPORTED' ORDER BY id`,
      );
      expect(exported.filter(({ action }) => action === 'SECRET_ACCESSED')).toHaveLength(2);
      expect(exported.at(-1)).toEqual({ action: 'DATA_EXPORTED' });

      // What the platform holds is read by an import with the platform's key alone.
      const fresh = await createTestDatabase();
      try {
        await keyward(['import-smarter'], {
          env: { ...env, DATABASE_URL: fresh.url, KEYWARD_FERNET_KEYS: oracle.fernet_keys.current },
        });
        const ring = ringOf(oracle.fernet_keys.current);
        const valueOf = async (where: string): Promise<string> => {
          const [row] = await execute(
            fresh.url,
            `SELECT v.ciphertext FROM secrets s JOIN secret_versions v ON v.secret_id = s.id WHERE ${where}`,
          );
          return ring.decrypt(row?.['ciphertext'] as Buffer, null).plaintext.toString();
        };
        expect(await valueOf(`s.name = 'made here'`)).toBe('käse');
        expect(await valueOf(`s.id = ${changed.id}`)).toBe('new value');
        const rows = await execute(
          fresh.url,
          `SELECT id, tags, annotations FROM secrets WHERE name = 'made here' OR id = ${gone.id}`,
        );
        expect(rows).toHaveLength(1);
        expect(rows[0]).toMatchObject({ tags: ['New Tag', 'other'], annotations: { a: 'b' } });
      } finally {
        await fresh.drop();
      }
      expect((await exportBack()).counts.secret).toMatchObject(NOTHING_WRITTEN);
    });
  });
}
