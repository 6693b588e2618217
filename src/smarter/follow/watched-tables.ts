import { uuidOf } from '../normalise.js';
import type { Kind } from '../report.js';
import type { Place, Source } from '../source.js';

/** RowKey names a row that an import takes over. */
export interface RowKey {
  readonly kind: Kind;
  readonly key: string;
}

/** WatchedTable is how changes of a table are found, of rows `row_` and what is joined to them. */
export interface WatchedTable {
  /** The tables that the stamps are of. */
  readonly tables: readonly string[];
  /** SQL of the rows that are added up. */
  readonly from: string;
  /** SQL of what is joined to them where they are read. */
  readonly joined: string;
  readonly place: Place;
  /** SQL that tells a row from others near it. */
  readonly id: string;
  /** What is to be taken over when the row of an id has changed; undefined if nothing is. */
  readonly keyOf: (id: string) => RowKey | undefined;
  /** SQL of a whole number that every change of the row changes. */
  readonly stamp: string;
  /** SQL of the sum of these. */
  readonly stampSum: string;
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

const EVERYWHERE = '1 = 1';

/** NUMBER is the place of rows that lie in the order of their numbers. */
const NUMBER: (table: string) => Place = (table) => ({
  column: 'row_.id',
  numbers: { of: 'row_.id', highest: `(SELECT MAX(id) FROM ${table})`, bucket: 64 },
  everywhere: EVERYWHERE,
  literal: (number) => number,
});

/** digits is the place of rows that lie in the order of hexadecimal digits. */
function digits(column: string): () => Place {
  return () => ({ column, everywhere: EVERYWHERE, literal: (text) => `'${text}'` });
}

function placeOf(source: Source, table: string, byKey: (table: string) => Place): Place {
  return source.block(table, 'row_') ?? byKey(table);
}

/** rowsOf is a table without what is joined to it. */
async function rowsOf(source: Source, table: string, byKey: (table: string) => Place) {
  const columns = await source.columns(table);
  return {
    tables: [table],
    from: `${table} row_`,
    joined: '',
    place: placeOf(source, table, byKey),
    stamp: source.stamp('row_', columns),
    stampSum: source.stampSum('row_', columns),
  };
}

async function numberedTable(source: Source, { table, kind }: Numbered): Promise<WatchedTable> {
  return {
    ...(await rowsOf(source, table, NUMBER)),
    id: 'row_.id',
    keyOf: (key) => ({ kind, key }),
    slower: 1,
    recent: await recentOf(source, table),
  };
}

async function tokenTable(source: Source): Promise<WatchedTable> {
  const table = 'drf_smarterauthtoken';
  return {
    ...(await rowsOf(source, table, digits('row_.authtoken_ptr_id'))),
    id: 'row_.key_id',
    keyOf: tokenOf,
    slower: 1,
    recent: await recentOf(source, table),
  };
}

/**
 * A key has a row of knox, too. It comes and goes before and after that of Smarter, which tells of it; what else there is,
 * is when the key expires.
 */
async function knoxTable(source: Source): Promise<WatchedTable> {
  return {
    ...(await rowsOf(source, 'knox_authtoken', digits('row_.digest'))),
    joined: 'LEFT JOIN drf_smarterauthtoken smarter ON smarter.authtoken_ptr_id = row_.digest',
    id: `CASE WHEN smarter.key_id IS NULL THEN ${source.exactly('row_.digest')}
      ELSE ${source.exactly("CONCAT('', smarter.key_id)")} END`,
    keyOf: tokenOf,
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
    tables: ['taggit_taggeditem', 'taggit_tag'],
    from: `taggit_taggeditem row_ JOIN taggit_tag tag ON tag.id = row_.tag_id
      JOIN django_content_type type_ ON type_.id = row_.content_type_id`,
    joined: '',
    place: placeOf(source, 'taggit_taggeditem', NUMBER),
    id: `CONCAT(type_.app_label, ' ', type_.model, ' ', row_.object_id, ' ', row_.id)`,
    keyOf: (id) => {
      const [app, model, key] = id.split(' ');
      const kind = TAGGED[`${app} ${model}`];
      return kind === undefined || key === undefined ? undefined : { kind, key };
    },
    stamp: `${source.stamp('row_', item)} + ${source.stamp('tag', tag)}`,
    stampSum: `${source.stampSum('row_', item)} + ${source.stampSum('tag', tag)}`,
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
