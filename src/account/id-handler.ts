import { ResourceKind } from '../gen/keyward/account/v1/account.js';
import type {
  AccountServiceService,
  NamedResource,
  ResolvedId as ResolvedIdMessage,
} from '../gen/keyward/account/v1/account_service.js';
import { recordLocator, type ResourceKind as Kind } from '../lib/public-id.js';
import { checked } from '../lib/violations.js';
import type { Handlers } from '../rpc/handlers.js';
import type { IdService, NamedOfKind, ResolvedId } from './id-service.js';

const MAX_TEXT_BYTES = 32_768;

const KINDS: Readonly<Record<Kind, ResourceKind>> = {
  account: ResourceKind.RESOURCE_KIND_ACCOUNT,
  userprofile: ResourceKind.RESOURCE_KIND_USER_PROFILE,
  token: ResourceKind.RESOURCE_KIND_TOKEN,
  secret: ResourceKind.RESOURCE_KIND_SECRET,
};

export function idHandlers(service: IdService): Handlers<Pick<typeof AccountServiceService, 'resolveId'>> {
  return {
    resolveId: {
      permission: 'keyward.accounts.read',
      handle: async ({ text }, caller) => {
        checked((v) => {
          const length = Buffer.byteLength(text);
          v.check(
            length > 0 && length <= MAX_TEXT_BYTES,
            'text',
            `must be 1 to ${MAX_TEXT_BYTES} bytes long`,
          );
        });
        const { ids, hasMore } = await service.resolve(caller, text);
        return { ids: ids.map(toResolvedId), hasMore };
      },
    },
  };
}

function toResolvedId({ text, id, kind, resources }: ResolvedId): ResolvedIdMessage {
  return {
    text,
    id,
    kind: kind === undefined ? ResourceKind.RESOURCE_KIND_UNSPECIFIED : KINDS[kind],
    resources: resources.map(toNamedResource),
  };
}

function toNamedResource(resource: NamedOfKind): NamedResource {
  return {
    kind: KINDS[resource.kind],
    recordLocator: recordLocator(resource.kind, resource.id),
    name: resource.name,
    username: resource.username,
    accountNumber: resource.accountNumber,
    keyId: resource.keyId ?? '',
    isDeleted: resource.isDeleted ?? false,
  };
}
