import type { Knex } from 'knex';
import { query } from '../target-store.js';
import { TARGET_TABLES } from '../target-tables.js';
import { NOTHING, partsOf, union, type ChangedHere } from './here.js';
import { isTouched as isSecretTouched } from './secret-export.js';
import { readSecretsHere, type SecretHere } from './secrets-here.js';
import { isTouched as isTokenTouched } from './token-export.js';
import { readTokensHere, type TokenHere } from './tokens-here.js';

/** Rows of a kind that one step reads. */
const STEP_ROWS = 200;

/** FullRound goes round all rows, some at a time, and finds those on which the two sides do not agree, whyever. */
export class FullRound {
  readonly #knex: Knex;
  readonly #allScopes: boolean;
  #after: { tokens: string; secrets: string } | undefined;

  constructor(knex: Knex, allScopes: boolean) {
    this.#knex = knex;
    this.#allScopes = allScopes;
  }

  /** isUnderway is false when a round is done, and before the first one. */
  get isUnderway(): boolean {
    return this.#after !== undefined;
  }

  /** step reads the next rows. The first one of a round finds what is gone. */
  async step(): Promise<ChangedHere> {
    const found = this.#after === undefined ? await this.#gone() : NOTHING;
    const { tokens, secrets } = this.#after ?? { tokens: '0', secrets: '0' };
    const nextTokens = await readTokensHere(this.#knex, { after: tokens, limit: STEP_ROWS }, this.#allScopes);
    const nextSecrets = await readSecretsHere(this.#knex, { after: secrets, limit: STEP_ROWS });
    const isDone = nextTokens.length + nextSecrets.length === 0;
    this.#after = isDone
      ? undefined
      : { tokens: nextTokens.at(-1)?.id ?? tokens, secrets: nextSecrets.at(-1)?.id ?? secrets };
    return union([found, touched(nextTokens, nextSecrets)]);
  }

  /** left are those of some rows on which the two sides still do not agree. */
  async left(changed: ChangedHere): Promise<ChangedHere> {
    const left: ChangedHere[] = [];
    for (const { tokens, secrets } of partsOf({ ...changed, users: [] }, STEP_ROWS)) {
      const part = (only: readonly string[]) => ({ after: '0', limit: only.length, only });
      const tokensHere = await readTokensHere(this.#knex, part(tokens), this.#allScopes);
      const secretsHere = await readSecretsHere(this.#knex, part(secrets));
      left.push(touched(tokensHere, secretsHere));
    }
    return union(left);
  }

  /** #gone are rows that the platform has and Keyward has not, and users who were switched. */
  async #gone(): Promise<ChangedHere> {
    const missing = async (kind: 'token' | 'secret'): Promise<string[]> => {
      const { table, present } = TARGET_TABLES[kind];
      const rows = await query<{ id: string }>(
        this.#knex,
        `SELECT r.target_id::text AS id FROM import_records r LEFT JOIN ${table} t ON t.id = r.target_id AND ${present}
         WHERE r.kind = ? AND t.id IS NULL AND r.gone_at IS NULL`,
        [kind],
      );
      return idsOf(rows);
    };
    const users = await query<{ id: string }>(
      this.#knex,
      `SELECT t.id::text AS id FROM import_records r JOIN users t ON t.id = r.target_id
       WHERE r.kind = 'user' AND t.is_active IS DISTINCT FROM (r.fields ->> 'is_active')::boolean`,
    );
    return { users: idsOf(users), tokens: await missing('token'), secrets: await missing('secret') };
  }
}

/** touched are those on which the two sides do not agree. */
function touched(tokens: readonly TokenHere[], secrets: readonly SecretHere[]): ChangedHere {
  return {
    users: [],
    tokens: idsOf(tokens.filter(isWritable).filter(isTokenTouched)),
    secrets: idsOf(secrets.filter(isWritable).filter(isSecretTouched)),
  };
}

/** isWritable is not true of what belongs to an owner whom the platform does not have. */
function isWritable({ fields }: { readonly fields: Readonly<Record<string, unknown>> }): boolean {
  return fields['user_profile_id'] !== null;
}

function idsOf(rows: readonly { readonly id: string }[]): string[] {
  return rows.map(({ id }) => id);
}
