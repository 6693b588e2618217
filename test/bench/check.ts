import { HeaderValueOption_HeaderAppendAction as AppendAction } from '../../src/gen/envoy/config/core/v3/base.js';
import { CheckRequest, CheckResponse } from '../../src/gen/envoy/service/auth/v3/external_auth.js';
import { expectedResponse, plaintextOf, type Exchange } from './tokens.js';

/** checkExchangeOf asks for one token as Envoy does, with the headers that a browser's request has by the time Envoy asks. */
export function checkExchangeOf(token: number): Exchange {
  return {
    request: CheckRequest.encode(requestOf(token)).finish(),
    response: CheckResponse.encode(responseOf(token)).finish(),
  };
}

const HEADERS = {
  ':authority': 'shop.example.com',
  ':path': '/orders/4711?expand=lines',
  ':method': 'GET',
  ':scheme': 'https',
  accept: 'application/json, text/plain, */*',
  'accept-encoding': 'gzip, deflate, br',
  'accept-language': 'en-GB,en;q=0.9',
  'user-agent':
    'Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Safari/537.36',
  'x-forwarded-proto': 'https',
  'x-forwarded-for': '198.51.100.23',
  'x-request-id': '7b1bfe62-8b4e-4a52-9d2c-0f8a0a4b9c7d',
};

function requestOf(token: number): CheckRequest {
  const headers = new Map(Object.entries(HEADERS)).set('authorization', `Bearer ${plaintextOf(token)}`);
  const contextExtensions = new Map([['required_scopes', 'orders.read']]);
  return { attributes: { request: { http: { headers, headerMap: undefined } }, contextExtensions } };
}

function responseOf(token: number): CheckResponse {
  const { keyId, name, principal } = expectedResponse(token);
  const identity = {
    user: principal?.username ?? '',
    account: principal?.accountNumber ?? '',
    'key-id': keyId,
    'key-name': name,
    stale: 'false',
    scopes: '*',
  };
  return {
    status: { code: 0, message: '', details: [] },
    httpResponse: {
      $case: 'okResponse',
      value: {
        headers: Object.entries(identity).map(([key, value]) => ({
          header: { key: `x-keyward-${key}`, value, rawValue: Buffer.alloc(0) },
          appendAction: AppendAction.OVERWRITE_IF_EXISTS_OR_ADD,
          keepEmptyValue: true,
        })),
        headersToRemove: ['authorization'],
      },
    },
    dynamicMetadata: {
      reason: 'OK',
      user: identity.user,
      account: identity.account,
      key_id: keyId,
      key_name: name,
      scopes: '*',
      stale: false,
    },
  };
}
