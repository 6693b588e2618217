import { randomUUID } from 'node:crypto';
import type { MethodName, RequestOf } from './rpc.js';
import { ACCOUNT_A, existing, newValue, textOf, type Member, type World } from './world.js';

type Requests = {
  readonly [Name in MethodName]: (world: World) => Promise<RequestOf<Name>> | RequestOf<Name>;
};

/** byId makes a selector of a resource's number. */
export function byId({ id }: { readonly id: bigint }) {
  return { selector: { $case: 'id', value: id } } as const;
}

const selectedToken = async (world: World) => ({ selector: byId(await world.issue('owner-a')) });
const selectedSecret = async (world: World) => ({ selector: byId(await world.keep('owner-a')) });
const secretOf = async (world: World) => ({ secret: byId(await world.keep('owner-a')) });
const selectedVersion = async (world: World) => ({ ...(await selectedSecret(world)), version: 1 });
const selectedAccount = async (world: World) => ({ selector: byId(await world.newAccount()) });
const selectedUser = async (world: World) => ({ selector: byId(await newUser(world)) });
const selectedProfile = async (world: World) => ({ selector: byId(await newProfile(world)) });

/**
 * A request for every RPC that succeeds for those who are entitled to it, about a resource made for it alone: a
 * token, secret or user of account A, or an account.
 */
export const REQUESTS: Requests = {
  validateToken: async (world) => ({ token: (await world.issue('owner-a')).plaintext }),
  streamValidateTokens: async (world) => ({ token: (await world.issue('owner-a')).plaintext }),
  holdVerdicts: () => ({
    message: { $case: 'open', value: { clientId: randomUUID(), label: 'a-test', agent: 'a test' } },
  }),
  batchValidateTokens: async (world) => ({ requests: [{ token: (await world.issue('owner-a')).plaintext }] }),
  createToken: (world) => ({ owner: byId(world.profileOf('owner-a')), name: world.newName() }),
  getToken: async (world) => ({ token: byId(await world.issue('owner-a')) }),
  listTokens: () => ({}),
  updateToken: async (world) => ({
    ...(await selectedToken(world)),
    token: { description: 'changed' },
    updateMask: ['description'],
  }),
  renameToken: async (world) => ({ ...(await selectedToken(world)), newName: world.newName() }),
  cloneToken: async (world) => ({ ...(await selectedToken(world)), newName: world.newName() }),
  transferToken: async (world) => ({
    ...(await selectedToken(world)),
    owner: byId(world.profileOf('staff-a')),
  }),
  activateToken: selectedToken,
  deactivateToken: selectedToken,
  toggleToken: selectedToken,
  rotateToken: selectedToken,
  revokeToken: selectedToken,
  revokeUserTokens: async (world) => {
    const { profile } = await world.issueTo();
    return { user: { selector: { $case: 'id', value: profile.userId } } };
  },
  attachTokenReference: async (world) => ({
    ...(await selectedToken(world)),
    kind: 'llm_client.api_key',
    consumer: 'a client',
  }),
  detachTokenReference: async (world) => {
    const reference = { ...(await selectedToken(world)), kind: 'llm_client.api_key', consumer: 'a client' };
    await world.admin.tokens.attachReference(reference);
    return reference;
  },
  listTokenReferences: async (world) => ({ token: byId(await world.issue('owner-a')) }),
  watchTokens: () => ({}),

  createSecret: (world) => ({
    owner: byId(world.profileOf('owner-a')),
    name: world.newName(),
    payload: textOf(newValue()),
  }),
  getSecret: secretOf,
  listSecrets: () => ({}),
  updateSecret: async (world) => ({
    ...(await selectedSecret(world)),
    secret: { description: 'changed' },
    updateMask: ['description'],
  }),
  renameSecret: async (world) => ({ ...(await selectedSecret(world)), newName: world.newName() }),
  cloneSecret: async (world) => ({ ...(await selectedSecret(world)), newName: world.newName() }),
  transferSecret: async (world) => ({
    ...(await selectedSecret(world)),
    owner: byId(world.profileOf('staff-a')),
  }),
  deleteSecret: selectedSecret,
  undeleteSecret: async (world) => {
    const selected = await selectedSecret(world);
    await world.admin.secrets.deleteSecret(selected);
    return selected;
  },
  addSecretVersion: async (world) => ({ ...(await selectedSecret(world)), payload: textOf(newValue()) }),
  listSecretVersions: secretOf,
  disableSecretVersion: selectedVersion,
  enableSecretVersion: selectedVersion,
  destroySecretVersion: selectedVersion,
  accessSecret: secretOf,
  batchAccessSecrets: async (world) => ({ requests: [await secretOf(world)] }),
  attachReference: async (world) => ({
    ...(await selectedSecret(world)),
    kind: 'provider.api_key',
    consumer: 'a provider',
  }),
  detachReference: async (world) => {
    const reference = { ...(await selectedSecret(world)), kind: 'provider.api_key', consumer: 'a provider' };
    await world.admin.secrets.attachReference(reference);
    return reference;
  },
  listReferences: secretOf,
  grantAccess: async (world) => ({
    ...(await selectedSecret(world)),
    userProfile: byId(world.profileOf('admin')),
  }),
  revokeAccess: async (world) => {
    const grant = { ...(await selectedSecret(world)), userProfile: byId(world.profileOf('admin')) };
    await world.admin.secrets.grantAccess(grant);
    return grant;
  },
  listGrants: secretOf,
  rotateEncryptionKey: () => ({}),
  getRotationStatus: () => ({}),
  watchSecrets: () => ({}),

  listReplicas: () => ({}),
  listAuditEvents: () => ({}),
  listImportConflicts: () => ({}),

  applyManifest: (world) => ({ manifest: newKeyOf(world, 'owner-a') }),
  getManifest: async (world) => ({ resource: { $case: 'token', value: byId(await world.issue('owner-a')) } }),

  createAccount: (world) => ({ name: world.newName() }),
  getAccount: async (world) => ({ account: byId(await world.newAccount()) }),
  listAccounts: () => ({}),
  updateAccount: async (world) => ({
    ...(await selectedAccount(world)),
    account: { companyName: 'changed' },
    updateMask: ['company_name'],
  }),
  deleteAccount: selectedAccount,
  createUser: (world) => ({ username: world.newName() }),
  getUser: async (world) => ({ user: byId(await newUser(world)) }),
  listUsers: () => ({}),
  updateUser: async (world) => ({
    ...(await selectedUser(world)),
    user: { firstName: 'changed' },
    updateMask: ['first_name'],
  }),
  deleteUser: selectedUser,
  createUserProfile: async (world) => ({
    user: byId(await newUser(world)),
    account: byId(await world.newAccount()),
  }),
  getUserProfile: async (world) => ({ userProfile: byId(await newProfile(world)) }),
  listUserProfiles: () => ({}),
  updateUserProfile: async (world) => ({
    ...(await selectedProfile(world)),
    userProfile: { description: 'changed' },
    updateMask: ['description'],
  }),
  deleteUserProfile: selectedProfile,
  resolveId: async (world) => ({ text: (await world.issue('owner-a')).recordLocator }),
};

/** requestFor makes the request of an RPC. */
export async function requestFor<Name extends MethodName>(
  method: Name,
  world: World,
): Promise<RequestOf<Name>> {
  return REQUESTS[method](world);
}

/** newKeyOf is a document of a token that is not there yet. */
function newKeyOf(world: World, member: Member): string {
  const { username, accountNumber } = world.profileOf(member);
  const document = {
    apiVersion: 'keyward/v1',
    kind: 'ApiKey',
    metadata: { name: world.newName() },
    spec: { owner: { username, accountNumber } },
  };
  return JSON.stringify(document);
}

/** changeFor makes the request of an RPC that changes something: about what is not so already. */
export async function changeFor<Name extends MethodName>(
  method: Name,
  world: World,
): Promise<RequestOf<Name>> {
  const request = await requestFor(method, world);
  if (method === 'activateToken') await world.admin.tokens.deactivateToken(request);
  if (method === 'enableSecretVersion') await world.admin.secrets.disableSecretVersion(request);
  return request;
}

async function newUser(world: World) {
  return existing((await world.admin.accounts.createUser({ username: world.newName() })).user);
}

async function newProfile(world: World) {
  return world.join((await newUser(world)).username, ACCOUNT_A);
}
