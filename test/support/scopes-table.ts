import { format } from 'prettier';
import type { Permission } from '../../src/lib/scopes.js';
import { describedMethod } from './descriptors.js';
import { methodTitle } from './json-call.js';
import { requiredScopes } from './required-scopes.js';
import { METHOD_NAMES, type MethodName } from './rpc.js';

/** What each of Keyward's own scopes is for: one that is new does not compile without. */
const PURPOSES: Readonly<Record<Permission, string>> = {
  'keyward.tokens.validate': 'judge texts that clients present',
  'keyward.tokens.cache': 'judge texts in the own process, and hold what is known of them',
  'keyward.tokens.read': 'see tokens, without their plaintexts',
  'keyward.tokens.write': 'make, change and delete tokens',
  'keyward.secrets.read': 'see what is known of secrets, without their values',
  'keyward.secrets.access': 'get values, and let them reach others',
  'keyward.secrets.write': 'make, change and delete secrets',
  'keyward.keys.rotate': 'encrypt all values with another key',
  'keyward.accounts.read': 'see accounts, users and profiles',
  'keyward.accounts.write': 'make, change and delete accounts, users and profiles',
  'keyward.audit.read': 'see records of the audit log',
  'keyward.imports.read': 'see what imports have left to decide',
  'keyward.status.read': 'see the replicas and their clients',
};

/** scopesTable says of each scope what it is for and which methods need it. */
export function scopesTable(): Promise<string> {
  const rows = Object.entries(PURPOSES).map(([scope, purpose]) => {
    const methods = METHOD_NAMES.filter((name) => requiredScopes(name).some((needed) => needed === scope));
    return `| \`${scope}\` | ${purpose} | ${methods.map(linked).join(', ')} |`;
  });
  const table = ['| Scope | What for | Methods that need it |', '| --- | --- | --- |', ...rows].join('\n');
  return format(table, { parser: 'markdown' });
}

function linked(name: MethodName): string {
  const title = methodTitle(describedMethod(name));
  return `[${title}](api.md#${title.replace('.', '').toLowerCase()})`;
}
