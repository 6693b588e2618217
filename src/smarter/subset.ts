import type { Knex } from 'knex';
import { KINDS, type Kind } from './report.js';
import type { Subset } from './seen-rows.js';
import { readKeys, type SeenRow } from './source-keys.js';
import { textField } from './source-rows.js';
import type { Source } from './source.js';
import { query } from './target-store.js';
import { TARGET_TABLES } from './target-tables.js';

/** Most keys that are read of the source by one statement. */
const BATCH = 1000;

/** WholeSubset is a subset that can be taken over by itself, and those of its rows that the source has. */
interface WholeSubset {
  readonly subset: Subset;
  readonly rows: ReadonlyMap<Kind, readonly SeenRow[]>;
}

/**
 * wholeSubset adds to a subset what its rows depend on or stand in the way of: owners that Keyward lacks, rows whose names they
 * have in the source by now, and the tokens of a profile that is another user's.
 */
export async function wholeSubset(source: Source, holder: Knex, wanted: Subset): Promise<WholeSubset> {
  const subset = new Map(KINDS.map((kind) => [kind, new Set<string>()]));
  const rows = new Map(KINDS.map((kind): [Kind, SeenRow[]] => [kind, []]));
  let added: Subset = wanted;
  while ([...added.values()].some(({ size }) => size > 0)) {
    const next = new Map(KINDS.map((kind) => [kind, new Set<string>()]));
    for (const [kind, keys] of added) {
      if (keys.size === 0) continue;
      const known = subset.get(kind);
      for (const key of keys) known?.add(key);
      const found: SeenRow[] = [];
      for await (const batch of readKeys(source, kind, BATCH, keys)) found.push(...batch);
      rows.get(kind)?.push(...found);
      for (const needed of await neededBy(holder, kind, found)) next.get(needed.kind)?.add(needed.key);
    }
    for (const [kind, keys] of next) for (const key of subset.get(kind) ?? []) keys.delete(key);
    added = next;
  }
  return { subset, rows };
}

interface Needed {
  readonly kind: Kind;
  readonly key: string;
}

async function neededBy(holder: Knex, kind: Kind, rows: readonly SeenRow[]): Promise<Needed[]> {
  if (rows.length === 0) return [];
  const needed = [...(await missingOwners(holder, kind, rows)), ...(await namesakes(holder, kind, rows))];
  return kind === 'user_profile' ? [...needed, ...(await tokensOfMoved(holder, rows))] : needed;
}

/** missingOwners are the rows that others refer to and that Keyward does not have. */
async function missingOwners(holder: Knex, kind: Kind, rows: readonly SeenRow[]): Promise<Needed[]> {
  const needed: Needed[] = [];
  for (const [column, owner] of Object.entries(TARGET_TABLES[kind].references)) {
    const { table, present } = TARGET_TABLES[owner];
    const keys = new Set(rows.map(({ fields }) => textField(fields, column)));
    const missing = await query<{ key: string }>(
      holder,
      `SELECT wanted.key FROM unnest(?::text[]) AS wanted (key)
       WHERE NOT EXISTS (SELECT FROM import_records r JOIN ${table} t ON t.id = r.target_id AND ${present}
         WHERE r.kind = ? AND r.source_key = wanted.key AND r.retired_at IS NULL)`,
      [[...keys], owner],
    );
    needed.push(...missing.map(({ key }) => ({ kind: owner, key })));
  }
  return needed;
}

/** What tells a row `t` from others, by a row of the source `s`, whose owner is the row of Keyward `o`. */
const SAME_NAMES: Readonly<Record<Kind, string>> = {
  account: `accounts t ON t.account_number = s.fields ->> 'account_number'`,
  user: `users t ON t.username = s.fields ->> 'username'`,
  user_profile: `import_records u ON u.kind = 'user' AND u.source_key = s.fields ->> 'user_id'
    JOIN import_records a ON a.kind = 'account' AND a.source_key = s.fields ->> 'account_id'
    JOIN user_profiles t ON t.user_id = u.target_id AND t.account_id = a.target_id`,
  token: `import_records o ON o.kind = 'user_profile' AND o.source_key = s.fields ->> 'user_profile_id'
    JOIN tokens t ON t.user_profile_id = o.target_id AND t.name = s.fields ->> 'name'`,
  secret: `import_records o ON o.kind = 'user_profile' AND o.source_key = s.fields ->> 'user_profile_id'
    JOIN secrets t ON t.user_profile_id = o.target_id AND t.name = s.fields ->> 'name' AND t.deleted_at IS NULL`,
};

/** namesakes are imported rows that have, in Keyward, what rows of the source are called now. */
async function namesakes(holder: Knex, kind: Kind, rows: readonly SeenRow[]): Promise<Needed[]> {
  const found = await query<{ key: string }>(
    holder,
    `SELECT r.source_key AS key FROM json_to_recordset(?::json) AS s (key text, fields jsonb)
     JOIN ${SAME_NAMES[kind]} JOIN import_records r ON r.kind = ? AND r.target_id = t.id
     WHERE r.source_key <> s.key AND r.retired_at IS NULL`,
    [JSON.stringify(rows), kind],
  );
  return found.map(({ key }) => ({ kind, key }));
}

/** tokensOfMoved are the tokens of profiles that are another user's now: it decides whether they are switched on. */
async function tokensOfMoved(holder: Knex, rows: readonly SeenRow[]): Promise<Needed[]> {
  const found = await query<{ key: string }>(
    holder,
    `SELECT k.source_key AS key FROM json_to_recordset(?::json) AS s (key text, fields jsonb)
     JOIN import_records r ON r.kind = 'user_profile' AND r.source_key = s.key
       AND r.fields ->> 'user_id' <> s.fields ->> 'user_id'
     JOIN tokens t ON t.user_profile_id = r.target_id
     JOIN import_records k ON k.kind = 'token' AND k.target_id = t.id`,
    [JSON.stringify(rows)],
  );
  return found.map(({ key }) => ({ kind: 'token' as const, key }));
}
