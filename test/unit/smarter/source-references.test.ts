import { expect, test } from 'vitest';
import { isReferenceKind } from '../../../src/lib/references.js';
import { kindOf } from '../../../src/smarter/source-references.js';

test.each([
  ['plugin_apiconnection', 'api_key_id', 'api_connection.api_key'],
  ['connection_apiconnection', 'proxy_password_id', 'api_connection.proxy_password'],
  ['plugin_sqlconnection', 'password_id', 'sql_connection.password'],
  ['sqlconnection', 'proxy_password_id', 'sql_connection.proxy_password'],
  ['provider_provider', 'api_key_id', 'provider.api_key'],
  ['llm_client_llmclientapikey', 'api_key_id', 'llm_client.api_key'],
  ['billing_gateway', 'credential', 'billing_gateway.credential'],
  ['Odd Table', 'Schlüssel_id', 'odd_table.schl_ssel'],
  ['t'.repeat(63), 'c'.repeat(63), `${'t'.repeat(63)}.${'c'.repeat(36)}`],
  ['t'.repeat(63), '_id', `${'t'.repeat(63)}._id`],
])('the kind of a foreign key %s.%s', (table, column, kind) => {
  expect(kindOf({ table, column })).toBe(kind);
  expect(isReferenceKind(kind)).toBe(true);
});
