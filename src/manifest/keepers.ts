import type { AccountService } from '../account/account-service.js';
import { checkAccountNumber, checkUsername } from '../account/account.js';
import type { AccountSettings, UserProfileSettings, UserSettings } from '../account/account.js';
import type { Caller } from '../authz/caller.js';
import type { UserProfileRef } from '../authz/refs.js';
import { KeywardError } from '../lib/errors.js';
import { etagOf } from '../lib/etag.js';
import type { Violations } from '../lib/violations.js';
import type { SecretService } from '../secret/secret-service.js';
import type { Payload, SecretSettings } from '../secret/secret.js';
import type { VersionService } from '../secret/versions/version-service.js';
import type { TokenService } from '../token/token-service.js';
import type { TokenSettings } from '../token/token.js';
import type { KindName, Settings } from './kinds.js';
import type { ManifestDocument } from './manifest-reader.js';

/** Services are what resources are kept by: rights, rules, records and propagation are theirs. */
export interface Services {
  readonly tokens: Pick<TokenService, 'create' | 'get' | 'update' | 'setActive'>;
  readonly secrets: Pick<SecretService, 'create' | 'get' | 'update'>;
  readonly versions: Pick<VersionService, 'add'>;
  readonly accounts: Pick<
    AccountService,
    | 'createAccount'
    | 'getAccount'
    | 'updateAccount'
    | 'createUser'
    | 'getUser'
    | 'updateUser'
    | 'createUserProfile'
    | 'getUserProfile'
    | 'updateUserProfile'
  >;
}

/** Kept is a resource as its service gives it. */
export interface Kept {
  readonly id: bigint;
  readonly rowVersion: bigint;
}

/** Done is a resource after it was made or changed. */
interface Done {
  readonly kept: Kept;
  /** Of a token that was made. */
  readonly plaintext?: string;
  /** Tokens that were switched off because their owner gained. */
  readonly deactivated?: number;
}

/** AllSettings stand for those of any kind: which there are goes by the table of the kind. */
export type AllSettings = TokenSettings &
  SecretSettings &
  AccountSettings &
  UserSettings &
  UserProfileSettings;

/** Keeper does with the resources of one kind what documents ask for. */
export interface Keeper {
  /** find gives the resource that a document names, with its settings by their names. */
  find(caller: Caller, document: ManifestDocument): Promise<Kept>;
  /** checkNew adds the violations of what names a new resource. */
  checkNew?(v: Violations, document: ManifestDocument): void;
  create(
    caller: Caller,
    document: ManifestDocument,
    settings: AllSettings,
    payload: Payload | undefined,
  ): Promise<Done>;
  /** change changes a resource if its etag is still that; `payload` is the new value of a secret. */
  change(
    caller: Caller,
    kept: Kept,
    change: Partial<AllSettings>,
    payload: Payload | undefined,
  ): Promise<Done>;
}

/** keepersOver makes the keepers of all kinds. The settings of documents are those of their kind's table. */
export function keepersOver({
  tokens,
  secrets,
  versions,
  accounts,
}: Services): Readonly<Record<KindName, Keeper>> {
  return {
    ApiKey: {
      find: async (caller, document) => (await tokens.get(caller, ownedName(caller, document))).token,
      create: async (caller, document, settings) => {
        const owner = ownerOf(caller, document);
        const { token, plaintext } = await tokens.create(caller, owner, settings);
        return { kept: token, plaintext };
      },
      change: async (caller, before, { isActive, ...others }) => {
        let kept = before;
        const ref = { by: 'id', id: kept.id } as const;
        if (Object.keys(others).length > 0)
          kept = (await tokens.update(caller, ref, etagOf(kept.rowVersion), others)).result.token;
        if (typeof isActive === 'boolean')
          kept = (await tokens.setActive(caller, ref, etagOf(kept.rowVersion), isActive)).result.token;
        return { kept };
      },
    },
    Secret: {
      find: (caller, document) => secrets.get(caller, ownedName(caller, document)),
      create: async (caller, document, settings, payload) => {
        if (payload === undefined) throw new Error('a secret is made of a value');
        const owner = ownerOf(caller, document);
        return { kept: await secrets.create(caller, owner, settings, payload) };
      },
      change: async (caller, before, change, payload) => {
        let kept = before;
        const ref = { by: 'id', id: kept.id } as const;
        if (Object.keys(change).length > 0)
          kept = await secrets.update(caller, ref, etagOf(kept.rowVersion), change);
        if (payload !== undefined) {
          await versions.add(caller, ref, etagOf(kept.rowVersion), payload);
          kept = await secrets.get(caller, ref);
        }
        return { kept };
      },
    },
    Account: {
      find: (caller, document) => accounts.getAccount(caller, accountOf(document)),
      checkNew: (v, { path, identity: { accountNumber = '' } }) =>
        checkAccountNumber(v, `${path}.spec.accountNumber`, accountNumber),
      create: async (caller, { identity: { accountNumber } }, settings) => ({
        kept: await accounts.createAccount(caller, accountNumber, settings),
      }),
      change: async (caller, { id, rowVersion }, change) => ({
        kept: (await accounts.updateAccount(caller, { by: 'id', id }, etagOf(rowVersion), change)).result,
      }),
    },
    User: {
      find: (caller, { name: username }) => accounts.getUser(caller, { by: 'username', username }),
      checkNew: (v, { path, name }) => checkUsername(v, `${path}.metadata.name`, name),
      create: async (caller, { name }, settings) => ({
        kept: await accounts.createUser(caller, name, settings),
      }),
      change: async (caller, { id, rowVersion }, change) => {
        const ref = { by: 'id', id } as const;
        const etag = etagOf(rowVersion);
        const { result } = await accounts.updateUser(caller, ref, etag, change, false);
        return { kept: result.resource, deactivated: result.deactivated.count };
      },
    },
    UserProfile: {
      find: (caller, { identity }) =>
        accounts.getUserProfile(caller, { by: 'membership', username: '', accountNumber: '', ...identity }),
      create: async (caller, document, settings) => {
        const { username = '' } = document.identity;
        const { result } = await accounts.createUserProfile(
          caller,
          { by: 'username', username },
          accountOf(document),
          settings,
          false,
        );
        return { kept: result.resource, deactivated: result.deactivated.count };
      },
      change: async (caller, { id, rowVersion }, change) => ({
        kept: await accounts.updateUserProfile(caller, { by: 'id', id }, etagOf(rowVersion), change),
      }),
    },
  };
}

/** findIn gives what a document names; undefined if there is nothing such that the caller may read. */
export async function findIn(
  keeper: Keeper,
  caller: Caller,
  document: ManifestDocument,
): Promise<(Kept & Settings) | undefined> {
  try {
    return (await keeper.find(caller, document)) as Kept & Settings;
  } catch (error) {
    if (error instanceof KeywardError && error.reason === 'NOT_FOUND') return undefined;
    throw error;
  }
}

function ownedName(caller: Caller, document: ManifestDocument) {
  return { by: 'owner', owner: ownerOf(caller, document), name: document.name } as const;
}

function ownerOf({ profileId = 0n }: Caller, { owner }: ManifestDocument): UserProfileRef {
  return owner === undefined ? { by: 'id', id: profileId } : { by: 'membership', ...owner };
}

function accountOf({ identity: { accountNumber = '' } }: ManifestDocument) {
  return { by: 'account_number', accountNumber } as const;
}
