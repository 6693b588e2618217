import { ManifestOutcome, type AppliedDocument, type KeywardClient } from '../../src/client/index.js';
import { registerCanary } from './canaries.js';
import type { RequestOf } from './rpc.js';
import { execute } from './sql.js';
import { textOf, type Member, type World } from './world.js';

export const CREATED = ManifestOutcome.MANIFEST_OUTCOME_CREATED;
export const UPDATED = ManifestOutcome.MANIFEST_OUTCOME_UPDATED;
export const UNCHANGED = ManifestOutcome.MANIFEST_OUTCOME_UNCHANGED;

/** Parts is a document but for its version. */
export interface Parts {
  readonly kind: string;
  readonly metadata?: object;
  readonly spec?: object;
}

/** VALUE is where a document says that the client has a secret's value from. */
export const VALUE = { valueFrom: { env: 'X' } };

/** valued is the value for a document. */
export function valued(value: string, document = 0) {
  return { secretValues: [{ document, payload: textOf(value) }] };
}

/** textOfAll is a manifest of documents. */
export function textOfAll(...documents: readonly Parts[]): string {
  return JSON.stringify(documents.map((document) => ({ apiVersion: 'keyward/v1', ...document })));
}

/** ManifestApi applies manifests in a world. */
export class ManifestApi {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  ownerOf(member: Member | 'admin') {
    const { username, accountNumber } = this.#world.profileOf(member);
    return { username, accountNumber };
  }

  keyOf(member: Member | 'admin', name: string, spec: object = {}, metadata: object = {}): Parts {
    return {
      kind: 'ApiKey',
      metadata: { name, ...metadata },
      spec: { owner: this.ownerOf(member), ...spec },
    };
  }

  secretOf(member: Member | 'admin', name: string, spec: object = {}): Parts {
    return { kind: 'Secret', metadata: { name }, spec: { owner: this.ownerOf(member), ...spec } };
  }

  async apply(
    manifest: string,
    more: RequestOf<'applyManifest'> = {},
    client: KeywardClient = this.#world.admin,
  ): Promise<AppliedDocument[]> {
    const { documents } = await client.manifests.applyManifest({ manifest, ...more });
    for (const { plaintext } of documents) if (plaintext !== '') registerCanary(plaintext);
    return documents;
  }

  /** refused applies a manifest that must be refused, and gives the error. */
  async refused(...args: Parameters<ManifestApi['apply']>): Promise<Error> {
    const error: unknown = await this.apply(...args).catch((thrown: unknown) => thrown);
    if (error instanceof Error) return error;
    throw new Error('it was applied');
  }

  /** state changes with every row that is written, records of changes among them, and with every revision. */
  state(): Promise<unknown> {
    const parts = ['accounts', 'users', 'user_profiles', 'tokens', 'secrets'].map(
      (table) => `(SELECT (count(*), sum(row_version))::text FROM ${table}) AS ${table}`,
    );
    const counts = ['token_digests', 'secret_versions', 'change_feed'].map(
      (table) => `(SELECT count(*) FROM ${table}) AS ${table}`,
    );
    const records = `(SELECT count(*) FROM audit_events WHERE action <> 'SECRET_ACCESSED') AS records`;
    return execute(this.#world.database.url, `SELECT ${[...parts, ...counts, records].join(', ')}`);
  }

  async actionsOn(kind: string, id: bigint): Promise<unknown[]> {
    const rows = await execute(
      this.#world.database.url,
      `SELECT action FROM audit_events WHERE resource_kind = '${kind}' AND resource_id = ${id} ORDER BY id`,
    );
    return rows.map(({ action }) => action);
  }
}
