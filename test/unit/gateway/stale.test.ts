import { expect, test } from 'vitest';
import { CheckCodec } from '../../../src/gateway/check-codec.js';
import { gatewayIdentity, identityHeaders } from '../../../src/gateway/identity-headers.js';
import { introspectionOf } from '../../../src/gateway/introspection.js';
import { CheckResponse } from '../../../src/gen/envoy/service/auth/v3/external_auth.js';
import { encodeValid } from '../../../src/token/validate-codec.js';
import { VerdictRecord, type VerdictFacts } from '../../../src/token/verdict.js';
import type { Passing } from '../../../src/token/verdicts.js';
import { toldBy } from '../../support/envoy-check.js';
import { ANY_OWNER } from '../../support/verdict-facts.js';

const FACTS: VerdictFacts = {
  digest: 'd',
  tokenId: 1n,
  keyId: '72ae7713-58d1-4d68-b5ea-0548f52e4186',
  name: 'n',
  isActive: true,
  expiresAt: null,
  createdAt: 1_767_225_600_900_000n,
  scopes: ['*'],
  owner: ANY_OWNER,
};
const record = new VerdictRecord(FACTS, { ...ANY_OWNER, current: true }, Infinity, encodeValid(FACTS));
const credential = { token: 't', headers: [] };

function passing(stale: boolean): Passing {
  return { reason: 'OK', record, stale };
}

test('an answer that may be out of date says so, each time, and no other does', () => {
  const codec = new CheckCodec({ credentialHeaders: ['authorization'], removesCredential: true });
  for (const stale of [true, false, true, false]) {
    const told = toldBy(CheckResponse.decode(codec.okMessage(passing(stale), credential)));
    expect(told).toMatchObject({ headers: { 'x-keyward-stale': String(stale) }, metadata: { stale } });
    expect(identityHeaders(gatewayIdentity(record, stale))).toContainEqual([
      'x-keyward-stale',
      String(stale),
    ]);
    const introspected = introspectionOf({ passing: passing(stale), credential });
    expect(introspected).toMatchObject({ active: true, iat: 1_767_225_600 });
    expect('keyward_stale' in introspected).toBe(stale);
  }
});
