import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CheckCodec } from '../../../src/gateway/check-codec.js';
import { CredentialFinder } from '../../../src/gateway/credential.js';
import { headerText } from '../../../src/gateway/identity-headers.js';
import { CheckRequest } from '../../../src/gen/envoy/service/auth/v3/external_auth.js';
import { requestOf } from '../../support/envoy-check.js';

const NAMES = ['authorization', 'x-api-key'];
const codec = new CheckCodec({ credentialHeaders: NAMES, removesCredential: true });

const names = fc.constantFrom(...NAMES, 'X-API-Key', 'accept', 'x-keyward-user');
const values = fc.oneof(
  fc.constantFrom('Bearer a', 'token a', 'a', 'b', 'Basic a', 'Bearer', '', ' a ', 'a b'),
  fc.string(),
);
const headers = fc.array(fc.tuple(names, values), { maxLength: 5 });
const extensions = fc.dictionary(fc.constantFrom('required_scopes', 'other'), fc.string());

/** foundIn finds a credential in headers as the generated code decodes them. */
function foundIn(pairs: Iterable<readonly [string, string]>): unknown {
  const finder = new CredentialFinder();
  for (const [name, value] of pairs)
    if (NAMES.includes(name.toLowerCase())) finder.add(name.toLowerCase(), value);
  return finder.found;
}

test('what is read in place is what the generated code reads', () => {
  fc.assert(
    fc.property(headers, extensions, fc.boolean(), (pairs, extended, isRaw) => {
      const asked = isRaw ? { raw: pairs } : { headers: Object.fromEntries(pairs) };
      const bytes = Buffer.from(CheckRequest.encode(requestOf({ ...asked, extensions: extended })).finish());
      const decoded = CheckRequest.decode(bytes).attributes;
      const http = decoded?.request?.http;
      const found = isRaw
        ? (http?.headerMap?.headers ?? []).map(
            ({ key, rawValue }) => [key, Buffer.from(rawValue).toString('latin1')] as const,
          )
        : [...(http?.headers ?? [])].map(
            ([key, value]) => [key, Buffer.from(value).toString('latin1')] as const,
          );
      const scopes = decoded?.contextExtensions.get('required_scopes');
      expect(codec.read(bytes)).toEqual({
        credential: foundIn(found),
        scopeTexts: scopes === undefined ? [] : [Buffer.from(scopes).toString('latin1')],
      });
    }),
  );
});

test('bytes that are no message are refused, or read as far as the generated code reads them, and never beyond their end', () => {
  const whole = Buffer.from(
    CheckRequest.encode(requestOf({ headers: { authorization: 'Bearer abc' } })).finish(),
  );
  for (let length = 1; length < whole.length; length += 1)
    expect(() => codec.read(whole.subarray(0, length)), `${length} bytes`).toThrow(RangeError);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      try {
        codec.read(Buffer.from(bytes));
      } catch (error) {
        expect(error).toBeInstanceOf(RangeError);
      }
    }),
  );
});

test('every name becomes visible ASCII, and comes back from it', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', minLength: 1 }), (name) => {
      const text = headerText(name);
      expect(text).toMatch(/^[!-~]+$/);
      expect(decodeURIComponent(text)).toBe(name);
    }),
  );
});
