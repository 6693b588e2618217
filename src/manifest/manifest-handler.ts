import { readAccountSelector } from '../account/account-messages.js';
import type { Caller } from '../authz/caller.js';
import {
  ManifestFormat,
  ManifestOutcome,
  type AppliedDocument,
} from '../gen/keyward/manifest/v1/manifest.js';
import type {
  ApplyManifestRequest,
  GetManifestRequest,
  ManifestServiceService,
} from '../gen/keyward/manifest/v1/manifest_service.js';
import { etagOf } from '../lib/etag.js';
import { recordLocator } from '../lib/public-id.js';
import { checked, Violations } from '../lib/violations.js';
import type { Handlers } from '../rpc/handlers.js';
import { toPropagation } from '../rpc/propagation-message.js';
import { missing, readUserProfileSelector, readUserSelector } from '../rpc/selectors.js';
import { readPayload, readSecretSelector } from '../secret/secret-messages.js';
import { MAX_PAYLOAD, type Payload } from '../secret/secret.js';
import { readTokenSelector } from '../token/token-messages.js';
import { KINDS, MASK_PATHS, rulesOf, VALUE_FROM } from './kinds.js';
import { readManifest, type Manifest, type ManifestDocument } from './manifest-reader.js';
import type { Applied, Application, ManifestService, ManifestSubject } from './manifest-service.js';
import { MAX_MANIFEST_BYTES } from './manifest-text.js';

export { ManifestServiceService } from '../gen/keyward/manifest/v1/manifest_service.js';

const READ = [...new Set(Object.values(KINDS).map(({ read }) => read))];
const WRITE = [...new Set(Object.values(KINDS).map(({ write }) => write))];
/** Values at their longest that fit into one request. */
const MAX_VALUES = 16;
/** A text is kept beside its tokens, the documents that they make, and what is read of these. */
const EXPANSION = 8;

const OUTCOMES: Readonly<Record<Applied['outcome'], ManifestOutcome>> = {
  CREATED: ManifestOutcome.MANIFEST_OUTCOME_CREATED,
  UPDATED: ManifestOutcome.MANIFEST_OUTCOME_UPDATED,
  UNCHANGED: ManifestOutcome.MANIFEST_OUTCOME_UNCHANGED,
};

export function manifestHandlers(service: ManifestService): Handlers<typeof ManifestServiceService> {
  return {
    applyManifest: {
      permission: { byRequest: [...WRITE, ...READ, 'keyward.secrets.access'] },
      maxRequestBytes: MAX_MANIFEST_BYTES + MAX_VALUES * (MAX_PAYLOAD + 64) + 64 * 1024,
      expansion: EXPANSION,
      handle: async (request, caller) => {
        const { applied, propagation } = await service.apply(caller, readApplication(request));
        return {
          documents: applied.map(toAppliedDocument),
          propagation: propagation === undefined ? undefined : toPropagation(propagation),
        };
      },
    },
    getManifest: {
      permission: { byRequest: READ },
      handle: async (request, caller) => {
        const subject = checked((v) => readSubject(v, request, caller));
        const format = request.format === ManifestFormat.MANIFEST_FORMAT_JSON ? 'JSON' : 'YAML';
        return { manifest: await service.describe(caller, subject, format) };
      },
    },
  };
}

function readApplication({
  manifest: text,
  dryRun,
  updateMask: mask,
  secretValues,
}: ApplyManifestRequest): Application {
  return checked((v) => {
    const manifest = readManifest(v, text);
    const isMask = mask === undefined || (mask.length > 0 && mask.every((path) => MASK_PATHS.includes(path)));
    v.check(isMask, 'update_mask', `must only name fields of ${MASK_PATHS.join(', ')}`);
    return { manifest, dryRun, mask, values: readValues(v, manifest, secretValues) };
  });
}

function readValues(
  v: Violations,
  manifest: Manifest,
  given: ApplyManifestRequest['secretValues'],
): ReadonlyMap<ManifestDocument, Payload> {
  const values = new Map<ManifestDocument, Payload>();
  for (const [index, { document: number, payload }] of given.entries()) {
    const field = `secret_values[${index}]`;
    const document = manifest.documents[number];
    const value = readPayload(v, `${field}.payload`, payload);
    if (document?.valueFrom === undefined)
      v.add(`${field}.document`, 'must be that of a secret whose document has spec.valueFrom');
    else if (values.has(document)) v.add(`${field}.document`, 'has a value already');
    else values.set(document, value);
  }
  const lacking = new Violations();
  for (const document of manifest.documents) {
    if (document.valueFrom !== undefined && !values.has(document))
      lacking.add(`${document.path}.${VALUE_FROM}`, 'must be resolved by the client, into secret_values');
  }
  manifest.place(lacking, v);
  return values;
}

function readSubject(
  v: Violations,
  { resource, format }: GetManifestRequest,
  caller: Caller,
): ManifestSubject {
  v.check(format in ManifestFormat, 'format', 'must be one of the formats that there are');
  switch (resource?.$case) {
    case 'token':
      return { kind: 'ApiKey', ref: readTokenSelector(v, 'token', resource.value, caller) };
    case 'secret':
      return { kind: 'Secret', ref: readSecretSelector(v, 'secret', resource.value, caller) };
    case 'account':
      return { kind: 'Account', ref: readAccountSelector(v, 'account', resource.value) };
    case 'user':
      return { kind: 'User', ref: readUserSelector(v, 'user', resource.value) };
    case 'userProfile':
      return { kind: 'UserProfile', ref: readUserProfileSelector(v, 'user_profile', resource.value) };
    case undefined:
      return { kind: 'ApiKey', ref: missing(v, 'resource') };
  }
}

function toAppliedDocument({
  kind,
  name,
  outcome,
  changes,
  kept,
  plaintext,
  deactivated,
}: Applied): AppliedDocument {
  const { locator } = rulesOf(kind);
  const { id = 0n, rowVersion } = kept ?? {};
  return {
    kind,
    name,
    outcome: OUTCOMES[outcome],
    changes: changes.map((each) => ({ ...each })),
    id,
    recordLocator: kept === undefined || locator === undefined ? '' : recordLocator(locator, id),
    etag: rowVersion === undefined ? '' : etagOf(rowVersion),
    plaintext,
    deactivatedCount: BigInt(deactivated),
  };
}
