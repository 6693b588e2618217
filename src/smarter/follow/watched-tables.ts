import { uuidOf } from '../normalise.js';
import type { Kind } from '../report.js';
import type { Source } from '../source.js';

/** RowKey names a row that an import takes over. */
export interface RowKey {
  readonly kind: Kind;
  readonly key: string;
}

/** WatchedTable is how changes of a table are found, of rows `row_` and what is joined to them. */
export interface WatchedTable {
  readonly table: string;
  /**
   * SQL of the rows and what is joined to them. Where that is in the same order, `within` is the SQL that tells whether a
   * column is of the places that are read: databases do not infer it.
   */
  readonly from: (within: (column: string) => string) => string;
  /** The primary key. Rows are taken in its order, slice by slice: hexadecimal digits, or whole numbers. */
  readonly place: { readonly column: string; readonly isNumber: boolean };
  /** SQL that tells a row from others near it. */
  readonly id: string;
  /** What is to be taken over when the row of an id has changed; undefined if nothing is. */
  readonly keyOf: (id: string) => RowKey | undefined;
  /** SQL of a whole number that every change of the row changes. */
  readonly stamp: string;
  /** How many times as long as usual a round through it may take: what changes there alone is of less weight. */
  readonly slower: number;
  /** SQL conditions, each found by an index, that are true of most rows that changed a moment ago. */
  readonly recent: readonly string[];
}

/** The columns in which Django keeps when a row was written or used. */
const TIMES = ['updated_at', 'last_used_at', 'last_accessed', 'created_at'];
/** How far back it is looked for those, in seconds: a transaction may be committed a while after it set them. */
const OVERLAP_S = 10;

interface Numbered {
  readonly table: string;
  readonly kind: Kind;
}

const NUMBERED: readonly Numbered[] = [
  { table: 'account_account', kind: 'account' },
  { table: 'auth_user', kind: 'user' },
  { table: 'account_userprofile', kind: 'user_profile' },
  { table: 'secret_secret', kind: 'secret' },
];

/** The models that have tags of django-taggit, by the names of their content types. */
const TAGGED: Readonly<Record<string, Kind>> = {
  'account account': 'account',
  'account userprofile': 'user_profile',
  'secret secret': 'secret',
};

/** watchedTables are the tables that an import reads, but for those that refer to keys and secrets. */
export async function watchedTables(source: Source): Promise<WatchedTable[]> {
  const tables = [await tokenTable(source), await knoxTable(source), await tagTable(source)];
  for (const each of NUMBERED) tables.push(await numberedTable(source, each));
  return tables;
}

/** withoutIndex are the tables whose rows have times of change that no index finds. */
export async function withoutIndex(source: Source): Promise<string[]> {
  const lacking: string[] = [];
  for (const table of ['drf_smarterauthtoken', 'secret_secret']) {
    if (!(await source.indexed(table)).has('updated_at')) lacking.push(table);
  }
  return lacking;
}

async function numberedTable(source: Source, { table, kind }: Numbered): Promise<WatchedTable> {
  return {
    table,
    from: () => `${table} row_`,
    place: { column: 'row_.id', isNumber: true },
    id: 'row_.id',
    keyOf: (key) => ({ kind, key }),
    stamp: source.stamp('row_', await source.columns(table)),
    slower: 1,
    recent: await recentOf(source, table),
  };
}

async function tokenTable(source: Source): Promise<WatchedTable> {
  const table = 'drf_smarterauthtoken';
  return {
    table,
    from: () => `${table} row_`,
    place: { column: 'row_.authtoken_ptr_id', isNumber: false },
    id: 'row_.key_id',
    keyOf: tokenOf,
    stamp: source.stamp('row_', await source.columns(table)),
    slower: 1,
    recent: await recentOf(source, table),
  };
}

/**
 * A key has a row of knox, too. It comes and goes before and after that of Smarter, which tells of it; what else there is,
 * is when the key expires.
 */
async function knoxTable(source: Source): Promise<WatchedTable> {
  const table = 'knox_authtoken';
  return {
    table,
    from: (within) =>
      `${table} row_ LEFT JOIN drf_smarterauthtoken smarter
        ON smarter.authtoken_ptr_id = row_.digest AND ${within('smarter.authtoken_ptr_id')}`,
    place: { column: 'row_.digest', isNumber: false },
    id: `CASE WHEN smarter.key_id IS NULL THEN ${source.exactly('row_.digest')}
      ELSE ${source.exactly("CONCAT('', smarter.key_id)")} END`,
    keyOf: tokenOf,
    stamp: source.stamp('row_', await source.columns(table)),
    slower: 8,
    recent: [],
  };
}

function tokenOf(id: string): RowKey | undefined {
  const key = uuidOf(id);
  return key === undefined ? undefined : { kind: 'token', key };
}

/** A change of tags is no change of the row that has them. */
async function tagTable(source: Source): Promise<WatchedTable> {
  const [item, tag] = [await source.columns('taggit_taggeditem'), await source.columns('taggit_tag')];
  return {
    table: 'taggit_taggeditem',
    from: () => `taggit_taggeditem row_ JOIN taggit_tag tag ON tag.id = row_.tag_id
      JOIN django_content_type type_ ON type_.id = row_.content_type_id`,
    place: { column: 'row_.id', isNumber: true },
    id: `CONCAT(type_.app_label, ' ', type_.model, ' ', row_.object_id, ' ', row_.id)`,
    keyOf: (id) => {
      const [app, model, key] = id.split(' ');
      const kind = TAGGED[`${app} ${model}`];
      return kind === undefined || key === undefined ? undefined : { kind, key };
    },
    stamp: `${source.stamp('row_', item)} + ${source.stamp('tag', tag)}`,
    slower: 1,
    recent: [],
  };
}

async function recentOf(source: Source, table: string): Promise<string[]> {
  const indexed = await source.indexed(table);
  return TIMES.filter((column) => indexed.has(column)).map((column) =>
    source.within(`row_.${column}`, OVERLAP_S),
  );
}
