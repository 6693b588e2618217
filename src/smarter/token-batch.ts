import type { Knex } from 'knex';
import { applyChanges, leaveOut, noteFindings, sortBatch, type ChangedRow, type Fresh } from './batch.js';
import type { BatchReport } from './report.js';
import { textField, type FieldValue, type SourceRow } from './source-rows.js';
import { TOKENS } from './target-tables.js';
import { applyPatches, query, typed, writeRecords } from './target-store.js';
import type { Tools } from './tools.js';

/** Found is a fresh token that Keyward has already, with its number here. */
interface Found extends Fresh {
  readonly id: string;
}

/** importTokens takes one batch of tokens. Their owners must have been imported. */
export async function importTokens(
  trx: Knex.Transaction,
  { conflicts, promotions, tokenNames: names }: Tools,
  rows: readonly SourceRow[],
  report: BatchReport,
): Promise<void> {
  const { fresh, changes } = await sortBatch(trx, TOKENS, rows, report);
  await conflicts.settle(trx, TOKENS, changes, report);
  await names.settle(trx, changes, report);
  await replaceDigests(trx, changes, report);
  const moved = changes.filter(({ changed }) => changed.has('user_profile_id'));
  await promotions.changeTokens(
    trx,
    moved.map(({ targetId }) => targetId),
    report,
    () => applyChanges(trx, TOKENS, changes, report),
  );

  const { found, missing } = await findTokens(trx, fresh, report);
  await merge(trx, await names.name(trx, found, report), report);
  await create(trx, await names.name(trx, missing, report), report);
}

/** replaceDigests makes a key whose digest changed in the source refuse the old plaintext and accept the new one. */
async function replaceDigests(
  trx: Knex.Transaction,
  changes: readonly ChangedRow[],
  report: BatchReport,
): Promise<void> {
  const rekeyed = changes.filter(({ changed }) => changed.has('digest') || changed.has('token_key'));
  if (rekeyed.length === 0) return;
  const holders = await findDigests(
    trx,
    rekeyed.map(({ row }) => textField(row.fields, 'digest')),
  );
  const replacements: Record<string, FieldValue>[] = [];
  for (const { row, before, targetId, refused } of rekeyed) {
    const { digest = null, token_key = null } = row.fields;
    const holder = holders.get(textField(row.fields, 'digest'));
    if (holder !== undefined && holder.tokenId !== targetId) {
      refused.add('digest').add('token_key');
      report.note(
        'token',
        row.label,
        'digest-taken',
        'not updated: digest (another token of Keyward has it)',
      );
    } else {
      replacements.push({ id: targetId, before: before['digest'] ?? null, digest, token_key });
    }
  }
  await trx.raw(
    `UPDATE token_digests d SET digest = decode(r.digest, 'hex'), token_key = r.token_key,
       issued_by_user_id = NULL, issued_by_username = NULL, issued_by_key_id = NULL
     FROM json_to_recordset(?::json) AS r (id bigint, before text, digest text, token_key text)
     WHERE d.token_id = r.id AND d.digest = decode(r.before, 'hex')`,
    [JSON.stringify(replacements)],
  );
}

/** findTokens tells fresh tokens that Keyward has already from those that it lacks. */
async function findTokens(
  trx: Knex.Transaction,
  fresh: readonly Fresh[],
  report: BatchReport,
): Promise<{ found: Found[]; missing: Fresh[] }> {
  if (fresh.length === 0) return { found: [], missing: [] };
  const byDigest = await findDigests(
    trx,
    fresh.map(({ row }) => textField(row.fields, 'digest')),
  );
  const sql = 'SELECT key_id::text AS key_id, id::text AS id FROM tokens WHERE key_id = ANY (?::uuid[])';
  const withKeyId = await query<{ key_id: string; id: string }>(trx, sql, [fresh.map(({ row }) => row.key)]);
  const byKeyId = new Map(withKeyId.map(({ key_id, id }) => [key_id, id]));

  const found: Found[] = [];
  const missing: Fresh[] = [];
  for (const token of fresh) {
    const holder = byDigest.get(textField(token.row.fields, 'digest'));
    const namesake = byKeyId.get(token.row.key);
    if (holder?.imported === true) {
      leaveOut(TOKENS, token.row, 'digest-taken', 'its digest belongs to another imported token', report);
    } else if (namesake !== undefined && namesake !== holder?.tokenId) {
      leaveOut(TOKENS, token.row, 'key-id-taken', 'its key id belongs to another token of Keyward', report);
    } else if (holder !== undefined) {
      found.push({ ...token, id: holder.tokenId });
    } else {
      missing.push(token);
    }
  }
  return { found, missing };
}

async function findDigests(
  trx: Knex.Transaction,
  digests: readonly string[],
): Promise<Map<string, { tokenId: string; imported: boolean }>> {
  const rows = await query<{ digest: string; token_id: string; imported: boolean }>(
    trx,
    `SELECT r.digest, d.token_id::text AS token_id,
       EXISTS (SELECT FROM import_records i WHERE i.kind = 'token' AND i.target_id = d.token_id) AS imported
     FROM unnest(?::text[]) AS r (digest) JOIN token_digests d ON d.digest = decode(r.digest, 'hex')`,
    [[...digests]],
  );
  return new Map(rows.map((row) => [row.digest, { tokenId: row.token_id, imported: row.imported }]));
}

async function merge(trx: Knex.Transaction, tokens: readonly Found[], report: BatchReport): Promise<void> {
  await applyPatches(
    trx,
    TOKENS,
    tokens.map(({ row, id, columns }) => ({ id, columns: { ...tokenColumns(columns), key_id: row.key } })),
  );
  const records = tokens.map(({ row, id }) => ({ key: row.key, targetId: id, fields: row.fields }));
  await writeRecords(trx, 'token', records);
  for (const { row } of tokens) {
    report.outcomes.push('merged');
    report.note(
      'token',
      row.label,
      'merged',
      'merged with the one in Keyward: the source decides every field',
    );
    noteFindings(TOKENS, row, report);
  }
}

/** tokenColumns leaves out what is no column of tokens. */
function tokenColumns({
  digest: _digest,
  token_key: _tokenKey,
  ...columns
}: Fresh['columns']): Fresh['columns'] {
  return columns;
}

/** create writes tokens, their digests and their records in one statement: numbers are made on the way. */
async function create(trx: Knex.Transaction, tokens: readonly Fresh[], report: BatchReport): Promise<void> {
  if (tokens.length === 0) return;
  const names = Object.keys(TOKENS.columns);
  await trx.raw(
    `WITH r AS MATERIALIZED (
       SELECT * FROM json_to_recordset(?::json)
         AS r (${typed(TOKENS, names)}, digest text, token_key text, fields jsonb)
     ), created AS (
       INSERT INTO tokens (${names.join()}) SELECT ${names.join()} FROM r RETURNING id, key_id
     ), digests AS (
       INSERT INTO token_digests (digest, token_id, token_key)
       SELECT decode(r.digest, 'hex'), created.id, r.token_key FROM created JOIN r USING (key_id)
     )
     INSERT INTO import_records (kind, source_key, target_id, fields)
     SELECT 'token', r.key_id::text, created.id, r.fields FROM created JOIN r USING (key_id)`,
    [JSON.stringify(tokens.map(({ row, columns }) => ({ ...columns, key_id: row.key, fields: row.fields })))],
  );
  for (const { row } of tokens) {
    report.outcomes.push('created');
    noteFindings(TOKENS, row, report);
  }
}
