import { KeywardCallError, type KeywardClient } from '../../../../src/client/index.js';
import type { DjangoAnswer, DjangoPlatform } from '../../../support/django-platform.js';
import { execute } from '../../../support/sql.js';
import { textOf } from '../../../support/world.js';
import type { Key, Secret, User } from './estate.js';

/** SideOperations are what is done on one side. What that side refuses is false, or undefined, and changed nothing. */
export interface SideOperations {
  switchUser(user: User, on: boolean): Promise<boolean>;
  /** createKey gives the key's id and plaintext. */
  createKey(owner: User, name: string): Promise<{ keyId: string; text: string } | undefined>;
  renameKey(key: Key, name: string): Promise<boolean>;
  switchKey(key: Key, on: boolean): Promise<boolean>;
  /** editKey also gives it so many days to live, or all time; the days may be over. */
  editKey(key: Key, description: string, tags: readonly string[], days: number | null): Promise<boolean>;
  /** rotateKey gives the new plaintext. */
  rotateKey(key: Key): Promise<string | undefined>;
  deleteKey(key: Key): Promise<boolean>;
  useKey(text: string): Promise<void>;
  /** createSecret gives the number of the secret. */
  createSecret(owner: User, name: string, value: string): Promise<string | undefined>;
  changeValue(secret: Secret, value: string): Promise<boolean>;
  renameSecret(secret: Secret, name: string): Promise<boolean>;
  tagSecret(secret: Secret, tags: readonly string[]): Promise<boolean>;
  readSecret(secret: Secret): Promise<void>;
  deleteSecret(secret: Secret): Promise<boolean>;
}

/** What is gone, or there already. */
const EXPECTED = /^(DoesNotExist|IntegrityError)$/;
const DEADLOCK = /deadlock/i;

/** PlatformSide does what Django does. */
export class PlatformSide implements SideOperations {
  readonly #django: DjangoPlatform;
  readonly #keywardUrl: string;
  /** Operations that a deadlock undid; Django tells its caller, who tries again or not. */
  deadlocks = 0;

  constructor(django: DjangoPlatform, keywardUrl: string) {
    this.#django = django;
    this.#keywardUrl = keywardUrl;
  }

  async createUser(username: string, account: number): Promise<{ id: number; profile: number } | undefined> {
    const { id, profile } = await this.#run('create_user', { username, account });
    return id === undefined ? undefined : { id: Number(id), profile: Number(profile) };
  }

  deleteUser({ id }: User): Promise<boolean> {
    return this.#did('delete_user', { id });
  }

  switchUser({ id }: User, on: boolean): Promise<boolean> {
    return this.#did('switch_user', { id, on });
  }

  async createKey(owner: User, name: string): Promise<{ keyId: string; text: string } | undefined> {
    const { keyId, token } = await this.#run('create_key', { profile: owner.profileId, name });
    return typeof keyId === 'string' ? { keyId, text: String(token) } : undefined;
  }

  renameKey({ keyId }: Key, name: string): Promise<boolean> {
    return this.#did('rename_key', { key_id: keyId, name });
  }

  switchKey({ keyId }: Key, on: boolean): Promise<boolean> {
    return this.#did('switch_key', { key_id: keyId, on });
  }

  editKey(
    { keyId }: Key,
    description: string,
    tags: readonly string[],
    days: number | null,
  ): Promise<boolean> {
    return this.#did('edit_key', { key_id: keyId, description, tags, days });
  }

  async rotateKey({ keyId }: Key): Promise<string | undefined> {
    const { token } = await this.#run('rotate_key', { key_id: keyId });
    return typeof token === 'string' ? token : undefined;
  }

  deleteKey({ keyId }: Key): Promise<boolean> {
    return this.#did('delete_key', { key_id: keyId });
  }

  async useKey(text: string): Promise<void> {
    await this.#run('use_key', { token: text });
  }

  /** beginUse reads a key as a request does, which saves it at `endUses`. */
  async beginUse(text: string): Promise<boolean> {
    return (await this.#run('begin_use', { token: text }))['verdict'] === 'OK';
  }

  endUses(): Promise<unknown> {
    return this.#run('end_uses', {});
  }

  async createSecret(owner: User, name: string, value: string): Promise<string | undefined> {
    const { id } = await this.#run('create_secret', { profile: owner.profileId, name, value });
    return typeof id === 'number' ? String(id) : undefined;
  }

  changeValue(secret: Secret, value: string): Promise<boolean> {
    return this.#with(secret, 'change_value', { value });
  }

  renameSecret(secret: Secret, name: string): Promise<boolean> {
    return this.#with(secret, 'rename_secret', { name });
  }

  tagSecret(secret: Secret, tags: readonly string[]): Promise<boolean> {
    return this.#with(secret, 'tag_secret', { tags });
  }

  async readSecret(secret: Secret): Promise<void> {
    await this.#with(secret, 'read_secret', {});
  }

  deleteSecret(secret: Secret): Promise<boolean> {
    return this.#with(secret, 'delete_secret', {});
  }

  async #with({ home, number }: Secret, operation: string, args: object): Promise<boolean> {
    const sql = `SELECT source_key AS number FROM import_records WHERE kind = 'secret' AND target_id = $1`;
    const id = home === 'platform' ? number : (await execute(this.#keywardUrl, sql, [number]))[0]?.['number'];
    return id === undefined ? false : this.#did(operation, { id: Number(id), ...args });
  }

  async #did(operation: string, args: object): Promise<boolean> {
    return (await this.#run(operation, args)).refused === undefined;
  }

  async #run(operation: string, args: object): Promise<DjangoAnswer> {
    const answer = await this.#django.run(operation, { ...args });
    const { refused, why = '' } = answer;
    if (refused !== undefined && !EXPECTED.test(refused) && !DEADLOCK.test(why)) {
      throw new Error(`the platform cannot ${operation}: ${refused}, ${why}`);
    }
    if (DEADLOCK.test(why)) this.deadlocks += 1;
    return answer;
  }
}

const REFUSALS = /^(NOT_FOUND|ALREADY_EXISTS|FAILED_PRECONDITION|ABORTED)$/;

/** KeywardSide calls the service. */
export class KeywardSide implements SideOperations {
  readonly #client: KeywardClient;
  readonly #url: string;

  constructor(client: KeywardClient, databaseUrl: string) {
    this.#client = client;
    this.#url = databaseUrl;
  }

  switchUser({ username }: User, on: boolean): Promise<boolean> {
    return did(
      this.#client.accounts.updateUser({
        selector: { selector: { $case: 'username', value: username } },
        user: { isActive: on },
        updateMask: ['is_active'],
      }),
    );
  }

  async createKey(owner: User, name: string): Promise<{ keyId: string; text: string } | undefined> {
    const made = await unlessRefused(this.#client.tokens.createToken({ owner: selectorOf(owner), name }));
    return made?.token === undefined ? undefined : { keyId: made.token.keyId, text: made.plaintext };
  }

  renameKey(key: Key, name: string): Promise<boolean> {
    return did(this.#client.tokens.renameToken({ selector: byKeyId(key), newName: name }));
  }

  switchKey(key: Key, on: boolean): Promise<boolean> {
    const { tokens } = this.#client;
    const selector = byKeyId(key);
    return did(on ? tokens.activateToken({ selector }) : tokens.deactivateToken({ selector }));
  }

  editKey(key: Key, description: string, tags: readonly string[], days: number | null): Promise<boolean> {
    const expiresAt =
      days === null
        ? undefined
        : { seconds: BigInt(Math.floor(Date.now() / 1000 + days * 86_400)), nanos: 0 };
    return did(
      this.#client.tokens.updateToken({
        selector: byKeyId(key),
        token: { description, tags: [...tags], ...(expiresAt === undefined ? {} : { expiresAt }) },
        updateMask: ['description', 'tags', 'expires_at'],
      }),
    );
  }

  async rotateKey(key: Key): Promise<string | undefined> {
    return (await unlessRefused(this.#client.tokens.rotateToken({ selector: byKeyId(key) })))?.plaintext;
  }

  deleteKey(key: Key): Promise<boolean> {
    return did(this.#client.tokens.revokeToken({ selector: byKeyId(key) }));
  }

  async useKey(text: string): Promise<void> {
    await this.#client.tokens.validateToken({ token: text });
  }

  async createSecret(owner: User, name: string, value: string): Promise<string | undefined> {
    const request = { owner: selectorOf(owner), name, payload: textOf(value) };
    const made = await unlessRefused(this.#client.secrets.createSecret(request));
    return made?.secret?.id.toString();
  }

  changeValue(secret: Secret, value: string): Promise<boolean> {
    return this.#with(secret, (selector) =>
      this.#client.secrets.addSecretVersion({ selector, payload: textOf(value) }),
    );
  }

  renameSecret(secret: Secret, name: string): Promise<boolean> {
    return this.#with(secret, (selector) => this.#client.secrets.renameSecret({ selector, newName: name }));
  }

  tagSecret(secret: Secret, tags: readonly string[]): Promise<boolean> {
    return this.#with(secret, (selector) =>
      this.#client.secrets.updateSecret({ selector, secret: { tags: [...tags] }, updateMask: ['tags'] }),
    );
  }

  async readSecret(secret: Secret): Promise<void> {
    await this.#with(secret, (selector) => this.#client.secrets.accessSecret({ secret: selector }));
  }

  deleteSecret(secret: Secret): Promise<boolean> {
    return this.#with(secret, (selector) => this.#client.secrets.deleteSecret({ selector }));
  }

  async #with(
    { home, number }: Secret,
    call: (selector: { selector: { $case: 'id'; value: bigint } }) => Promise<unknown>,
  ): Promise<boolean> {
    const sql = `SELECT target_id::text AS number FROM import_records WHERE kind = 'secret' AND source_key = $1`;
    const id = home === 'keyward' ? number : (await execute(this.#url, sql, [number]))[0]?.['number'];
    if (typeof id !== 'string') return false;
    return did(call({ selector: { $case: 'id', value: BigInt(id) } }));
  }
}

function selectorOf({ profileId }: User): { selector: { $case: 'id'; value: bigint } } {
  return { selector: { $case: 'id', value: BigInt(profileId) } };
}

function byKeyId({ keyId }: Key): { selector: { $case: 'keyId'; value: string } } {
  return { selector: { $case: 'keyId', value: keyId } };
}

async function did(call: Promise<unknown>): Promise<boolean> {
  return (await unlessRefused(call)) !== undefined;
}

async function unlessRefused<T>(call: Promise<T>): Promise<T | undefined> {
  try {
    return await call;
  } catch (error) {
    if (error instanceof KeywardCallError && REFUSALS.test(error.codeName)) return undefined;
    throw error;
  }
}
