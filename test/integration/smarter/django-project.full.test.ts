import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { DjangoWeb, hasWeb, WEB_SERVERS, type WebAnswer, type WebServer } from '../../support/django-web.js';
import { createSmarterDatabase, readFixture, type SmarterDatabase } from '../../support/smarter-source.js';
import { takeOver, type Takeover } from '../../support/takeover.js';

const Case = z.object({
  case: z.string(),
  token: z.string(),
  key_id: z.string().nullish(),
  expected: z.object({ valid: z.boolean() }),
});
type Case = z.infer<typeof Case>;
const Oracle = z.object({
  tokens: z.array(Case),
  rejected_tokens: z.array(Case),
  quirk_tokens: z.array(Case),
  fernet_keys: z.object({ current: z.string(), previous: z.array(z.string()) }),
});

/** What the platform fails on, by docs/takeover.md, and how Keyward judges it. */
const FAILS = {
  owner_lost_staff_flag: 200,
  shared_token_key: 200,
  knox_row_without_smarter_row: 401,
} as const;
const OUTAGE_MS = 30_000;
const LIMIT_MS = 120_000;
/** More than a lease lasts. */
const LEASE_LIMIT_MS = 10_000;
/** Questions that reach each of four workers, all but surely. */
const QUESTIONS = 24;

const isComplete = hasWeb();
if (!isComplete) console.warn('SKIPPED: a project of Django, since no Python here has all that it needs');

describe.skipIf(!isComplete)('a project of Django whose keys were taken over', () => {
  let oracle: z.infer<typeof Oracle>;
  let source: SmarterDatabase;
  let takeover: Takeover;
  const webs = new Map<WebServer, DjangoWeb>();

  beforeAll(async () => {
    oracle = Oracle.parse(JSON.parse(await readFixture('expected.json')));
    source = await createSmarterDatabase();
    const { current, previous } = oracle.fernet_keys;
    takeover = await takeOver(source.url, [current, ...previous]);
    const env = {
      PLATFORM_DATABASE: source.url,
      SMARTER_FERNET_ENCRYPTION_KEY: current,
      KEYWARD_SERVER: takeover.address,
      KEYWARD_TOKEN: takeover.adminToken,
    };
    for (const name of ['gunicorn', 'uvicorn'] as const) webs.set(name, await DjangoWeb.start(name, env));
  });

  afterAll(async () => {
    for (const web of webs.values()) await web.stop();
    await takeover.end();
    await source.drop();
  });

  const web = (name: WebServer): DjangoWeb => {
    const started = webs.get(name);
    if (started === undefined) throw new Error(`there is no ${name}`);
    return started;
  };

  /** held resolves when every worker has answered about a key from memory. */
  const held = async (name: WebServer, key: string): Promise<void> => {
    const seen = new Set<number>();
    await expect
      .poll(
        async () => {
          const { status, body } = await web(name).get('keyward', key);
          const told = JSON.parse(body) as { readonly process: number; readonly from_memory: number };
          if (status === 200 && told.from_memory > 0) seen.add(told.process);
          return seen.size;
        },
        { timeout: 30_000, interval: 5 },
      )
      .toBe(WEB_SERVERS[name].processes);
  };

  const goodKey = (): Case => {
    const key = oracle.tokens.find(({ expected }) => expected.valid);
    if (key === undefined) throw new Error('the oracle has no good key');
    return key;
  };

  for (const name of ['gunicorn', 'uvicorn'] as const) {
    test(`answers under ${name} to each key and refused text as the platform does`, async () => {
      const statuses = async (path: string, cases: readonly Case[]): Promise<[string, number][]> => {
        const all: [string, number][] = [];
        for (const { case: what, token } of cases)
          all.push([what, (await web(name).get(path, token)).status]);
        return all;
      };
      const cases = [...oracle.tokens, ...oracle.rejected_tokens];
      // The platform changes what it is asked about: it comes last.
      const answers = await statuses('keyward', cases);
      const answersToFailing = await statuses('keyward', oracle.quirk_tokens);
      expect(answers).toEqual(await statuses('platform', cases));
      expect(answers.filter(([, status]) => status === 200).length).toBeGreaterThan(0);
      expect(await statuses('platform', oracle.quirk_tokens)).toEqual(
        oracle.quirk_tokens.map(({ case: what }) => [what, 500]),
      );
      expect(answersToFailing).toEqual(
        oracle.quirk_tokens.map(({ case: what }) => [what, FAILS[what as keyof typeof FAILS]]),
      );
    });

    test(`refuses under ${name}, in every worker, a key that was switched off when the call returns`, async () => {
      const client = takeover.connect(takeover.adminToken);
      const { token, key_id: keyId } = goodKey();
      const selector = { selector: { $case: 'keyId' as const, value: keyId ?? '' } };
      const statuses = async (): Promise<number[]> => {
        const answers: WebAnswer[] = [];
        for (let at = 0; at < QUESTIONS; at += 1) answers.push(await web(name).get('keyward', token));
        return answers.map(({ status }) => status);
      };
      await held(name, token);
      const off = await client.tokens.deactivateToken({ selector });
      expect(off.propagation?.complete).toBe(true);
      expect(await statuses()).toEqual(Array<number>(QUESTIONS).fill(401));
      await client.tokens.activateToken({ selector });
      expect(await statuses()).toEqual(Array<number>(QUESTIONS).fill(200));
      client.close();
    });
  }

  test(
    'is not told that a key is bad while Keyward is stopped, and serves as soon as it is back',
    async () => {
      const { token } = goodKey();
      await held('gunicorn', token);
      await held('uvicorn', token);
      await takeover.stop();
      const until = performance.now() + OUTAGE_MS;
      for (const name of ['gunicorn', 'uvicorn'] as const) {
        // Under a lease it goes on for up to three seconds.
        await expect
          .poll(async () => (await web(name).get('keyward', token)).status, {
            timeout: LEASE_LIMIT_MS,
          })
          .toBe(503);
      }
      while (performance.now() < until) {
        for (const name of ['gunicorn', 'uvicorn'] as const)
          expect((await web(name).get('keyward', token)).status).toBe(503);
      }
      await takeover.start();
      const back = performance.now();
      const serves = async (name: WebServer): Promise<string> => {
        let inARow = 0;
        while (inARow < QUESTIONS)
          inARow = (await web(name).get('keyward', token)).status === 200 ? inARow + 1 : 0;
        return `${name} after ${(performance.now() - back).toFixed(0)} ms`;
      };
      const served = await Promise.all([serves('gunicorn'), serves('uvicorn')]);
      console.log(`Each of ${QUESTIONS} requests was served after Keyward was back: ${served.join(', ')}`);
    },
    LIMIT_MS,
  );
});
