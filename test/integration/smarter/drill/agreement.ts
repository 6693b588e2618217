import { z } from 'zod';
import { KeywardCallError, VerdictReason, type KeywardClient } from '../../../../src/client/index.js';
import { isNumbered } from '../../../../src/smarter/comparison.js';
import type { DjangoPlatform } from '../../../support/django-platform.js';
import { execute } from '../../../support/sql.js';
import type { Note } from './copiers.js';
import type { Estate } from './estate.js';

const Verdict = z.object({ verdict: z.string(), user: z.string().optional() });
const Verdicts = z.object({ verdicts: z.array(Verdict) });
const Listed = z.object({
  owner: z.string(),
  name: z.string(),
  description: z.string(),
  tags: z.array(z.string()),
  expiresAt: z.string().nullable(),
});
const ListedKey = Listed.extend({
  keyId: z.string(),
  isActive: z.boolean(),
  lastUsedAt: z.string().nullable(),
});
const ListedSecret = Listed.extend({
  id: z.string(),
  lastAccessedAt: z.string().nullable(),
  value: z.string().nullable(),
});
const SecretThere = ListedSecret.extend({ id: z.coerce.string() });
const ListedUser = z.object({ username: z.string(), isActive: z.boolean() });

const EXPIRED = 'expired';

const TIME = (column: string): string =>
  `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`;
const KEYS_HERE = `
  SELECT t.key_id::text AS "keyId", u.username AS owner, t.name, t.description, t.tags, t.is_active AS "isActive",
    ${TIME('t.expires_at')} AS "expiresAt", ${TIME('t.last_used_at')} AS "lastUsedAt"
  FROM tokens t JOIN user_profiles p ON p.id = t.user_profile_id JOIN users u ON u.id = p.user_id`;
/** Under the platform's number, where it has one. */
const SECRETS_HERE = `
  SELECT coalesce(r.source_key, t.id || ' of Keyward') AS id, t.id::text AS number, u.username AS owner, t.name,
    t.description, t.tags, ${TIME('t.expires_at')} AS "expiresAt", ${TIME('t.last_accessed_at')} AS "lastAccessedAt"
  FROM secrets t JOIN user_profiles p ON p.id = t.user_profile_id JOIN users u ON u.id = p.user_id
  LEFT JOIN import_records r ON r.kind = 'secret' AND r.target_id = t.id
  WHERE t.deleted_at IS NULL`;

/** BothSides compares what the two sides hold. What differs is given as lines, each with what it is about. */
export class BothSides {
  readonly #django: DjangoPlatform;
  readonly #client: KeywardClient;
  readonly #keywardUrl: string;

  constructor(django: DjangoPlatform, client: KeywardClient, keywardUrl: string) {
    this.#django = django;
    this.#client = client;
    this.#keywardUrl = keywardUrl;
  }

  /** lists gives the differences between the lists of keys, secrets and users, but for those that notes name. */
  async lists(notes: readonly Note[]): Promise<string[]> {
    const named = new Set(notes.map(({ kind, key }) => `${kind} ${key}`));
    const keysThere = z.array(ListedKey).parse((await this.#django.run('list_keys'))['keys']);
    const keysHere = z.array(ListedKey).parse(await execute(this.#keywardUrl, KEYS_HERE));
    const secretsThere = z.array(SecretThere).parse((await this.#django.run('list_secrets'))['secrets']);
    const usersThere = z.array(ListedUser).parse((await this.#django.run('list_users'))['users']);
    const usersHere = z
      .array(ListedUser)
      .parse(
        await execute(
          this.#keywardUrl,
          `SELECT username, is_active AS "isActive" FROM users WHERE username !~ '\\(deleted \\d+\\)$'`,
        ),
      );
    return [
      ...differences('token', byId(keysThere, 'keyId'), byId(keysHere, 'keyId')),
      ...differences('secret', byId(secretsThere, 'id'), byId(await this.#secretsHere(), 'id')),
      ...differences('user', byId(usersThere, 'username'), byId(usersHere, 'username')),
    ]
      .filter(({ about }) => !named.has(about))
      .map(({ about, what }) => `${about}: ${what}`);
  }

  /** judge gives the verdicts of both sides on each plaintext: the user's name, or why it is refused. */
  async judge(texts: readonly string[]): Promise<ReadonlyMap<string, { there: string; here: string }>> {
    const { verdicts } = Verdicts.parse(await this.#django.run('judge', { tokens: texts }));
    const here: string[] = [];
    for (let from = 0; from < texts.length; from += 100) {
      const requests = texts.slice(from, from + 100).map((token) => ({ token }));
      const { responses } = await this.#client.tokens.batchValidateTokens({ requests });
      here.push(
        ...responses.map(({ valid, reason, principal }) =>
          valid ? `OK ${principal?.username ?? ''}` : VerdictReason[reason],
        ),
      );
    }
    return new Map(
      texts.map((text, index) => {
        const there = verdicts[index];
        return [
          text,
          {
            there: there?.verdict === 'OK' ? `OK ${there.user}` : (there?.verdict ?? 'none'),
            here: here[index] ?? 'none',
          },
        ];
      }),
    );
  }

  async #secretsHere(): Promise<z.infer<typeof ListedSecret>[]> {
    const rows = await execute(this.#keywardUrl, SECRETS_HERE);
    const values = new Map<string, string | null>();
    for (const { number } of rows) values.set(String(number), await this.#valueOf(String(number)));
    return z
      .array(ListedSecret)
      .parse(rows.map((row) => ({ ...row, value: values.get(String(row['number'])) })));
  }

  async #valueOf(number: string): Promise<string | null> {
    try {
      const { payload } = await this.#client.secrets.accessSecret({
        secret: { selector: { $case: 'id', value: BigInt(number) } },
        // To look is no use that would have to be brought across.
        skipAccessTime: true,
      });
      return payload?.value?.$case === 'text' ? payload.value.value : null;
    } catch (error) {
      if (!(error instanceof KeywardCallError)) throw error;
      if (error.reason === 'SECRET_UNDECRYPTABLE') return null;
      if (error.reason === 'SECRET_EXPIRED') return EXPIRED;
      throw error;
    }
  }
}

interface Difference {
  readonly about: string;
  readonly what: string;
}

type Row = Readonly<Record<string, unknown>>;

function byId<T extends Row>(rows: readonly T[], id: keyof T): ReadonlyMap<string, T> {
  return new Map(rows.map((row) => [String(row[id]), row]));
}

function differences(
  kind: string,
  there: ReadonlyMap<string, Row>,
  here: ReadonlyMap<string, Row>,
): Difference[] {
  return [...new Set([...there.keys(), ...here.keys()])].flatMap((id) => {
    const [rowThere, rowHere] = [there.get(id), here.get(id)];
    const about = `${kind} ${id}`;
    if (rowThere === undefined) return [{ about, what: `Keyward alone has it: ${JSON.stringify(rowHere)}` }];
    if (rowHere === undefined)
      return [{ about, what: `the platform alone has it: ${JSON.stringify(rowThere)}` }];
    return Object.keys(rowThere).flatMap((field) => {
      const [a, b] = [rowThere[field], rowHere[field]];
      if (isSame(field, a, b)) return [];
      return [{ about, what: `${field} is ${JSON.stringify(a)} there and ${JSON.stringify(b)} here` }];
    });
  });
}

function isSame(field: string, there: unknown, here: unknown): boolean {
  if (field === 'tags') return JSON.stringify(sorted(there)) === JSON.stringify(sorted(here));
  // The platform gives expired values out, and has none of the older keys.
  if (field === 'value' && (here === EXPIRED || there === null)) return true;
  // An import numbers names that are taken.
  if (field === 'name' && isNumbered(here, there)) return true;
  return JSON.stringify(there) === JSON.stringify(here);
}

function sorted(tags: unknown): unknown {
  return Array.isArray(tags) ? [...new Set<unknown>(tags)].sort() : tags;
}

/** wrongs are the plaintexts and values that one side alone dealt with, and that are not as it left them. */
export function wrongVerdicts(
  { keys }: Estate,
  verdicts: ReadonlyMap<string, { there: string; here: string }>,
): string[] {
  return keys.flatMap((key) => {
    const { owner, keyId } = key;
    const isSettled = key.touchedBy.size === 1 && owner.touchedBy.size <= 1;
    const isGood = !key.isDeleted && key.isActive && !owner.isDeleted && owner.isActive;
    return key.texts.flatMap((text) => {
      const isLast = text === key.text;
      const { there = 'none', here = 'none' } = verdicts.get(text) ?? {};
      const isIn = there.startsWith('OK') || here.startsWith('OK');
      const isInBoth = there.startsWith('OK') && here.startsWith('OK');
      const who = `key ${keyId} of ${key.home}, plaintext ${key.texts.indexOf(text) + 1} of ${key.texts.length}`;
      const facts = `${there} there, ${here} here`;
      if (isIn && key.isDeleted && !key.isContested) return [`${who} was deleted and is let in: ${facts}`];
      if (isIn && !isLast && isSettled) return [`${who} was rotated away and is let in: ${facts}`];
      if (isSettled && isLast && isGood && !isInBoth) return [`${who} is good and is refused: ${facts}`];
      if (isSettled && isLast && !isGood && isIn && !key.isContested)
        return [`${who} is off and is let in: ${facts}`];
      return [];
    });
  });
}
