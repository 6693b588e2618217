import type { Secret, Token } from '../client/index.js';

/** Owned is what secrets and tokens have in common. */
type Owned = Secret | Token;

/** identityFields are what is shown of one first. */
export function identityFields(resource: Owned): Record<string, string> {
  return {
    'record locator': resource.recordLocator,
    number: String(resource.id),
    name: resource.name,
    owner: ownerText(resource),
    description: resource.description,
    tags: resource.tags.join(', '),
    annotations: [...resource.annotations].map(([key, value]) => `${key}=${value}`).join(', '),
    'manifest path': resource.manifestPath,
    'manifest version': resource.version,
  };
}

export function ownerText({ owner }: Owned): string {
  return owner === undefined ? '' : `${owner.username}@${owner.accountNumber}`;
}
