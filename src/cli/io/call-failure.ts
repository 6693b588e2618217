import { existsSync } from 'node:fs';
import { dirname } from 'node:path';
import { usesTls, type ClientOptions } from '../../client/channel.js';
import { isLoopback, KeywardCallError, StatusCode } from '@keyward/client/transport';
import { adminToken, ownAdminTokenFile } from '../client-options.js';
import { failureText } from './failure.js';
import { io } from './io.js';

/** CallFailure is a failed call with what only the caller's side knows of the cause. */
class CallFailure extends Error {
  override readonly name = 'CallFailure';
}

/** What the library says where the other end hangs up without a word: it speaks something else, or wants a certificate. */
const HUNG_UP = /Last error: (?:Failed to connect \(|[^]*(?:ECONNRESET|socket hang up|certificate required))/;

/** What it says where nobody listens. */
const REFUSED = /Last error: [^]*ECONNREFUSED/;

/** explained adds to a failed call what may be the cause on this side, and which option changes it. */
export function explained(error: unknown, options: ClientOptions): unknown {
  if (!(error instanceof KeywardCallError)) return error;
  const hint = hintOf(error, options);
  if (hint === undefined) return error;
  const text = failureText(error)
    .replace(/\s*Resolution note:\s*$/, '')
    .replaceAll(/\s+/g, ' ');
  return new CallFailure(`${text.trim()} (${hint})`, { cause: error });
}

function hintOf({ code, message }: KeywardCallError, options: ClientOptions): string | undefined {
  if (code === StatusCode.UNAUTHENTICATED) return aboutToken(options);
  if (code !== StatusCode.UNAVAILABLE) return undefined;
  if (REFUSED.test(message) && isOwn(options)) return aboutService();
  if (!HUNG_UP.test(message)) return undefined;
  if (!usesTls(options))
    return 'it hangs up on a client without TLS: if it serves TLS, give --tls, and --ca <file> for an authority of its own';
  return options.cert === undefined
    ? 'it hangs up during TLS: it may require a certificate of its clients, give --cert and --key'
    : 'it hangs up during TLS: it may not accept the certificate of --cert';
}

/** isOwn tells whether the service is one of this machine. */
function isOwn({ server }: ClientOptions): boolean {
  return server === undefined || isLoopback(server);
}

function aboutService(): string {
  const database = hasDatabase()
    ? ''
    : `, and there is no database: DATABASE_URL is not set, and there is no ${dirname(ownAdminTokenFile())} (KEYWARD_DATA_DIR)`;
  return `no service runs there${database}; "keyward serve" starts one`;
}

function hasDatabase(): boolean {
  return (io().env['DATABASE_URL'] ?? '') !== '' || existsSync(dirname(ownAdminTokenFile()));
}

function aboutToken(options: ClientOptions): string {
  const { token, cert } = options;
  const file = ownAdminTokenFile();
  if (token === undefined) {
    if (cert !== undefined)
      return 'no token was given, and the certificate of --cert names no user who may call';
    const looked = isOwn(options)
      ? `, and there is no ${file} (KEYWARD_DATA_DIR)`
      : '; the admin token of this machine is for this machine alone';
    return `no token was given, neither by --token-file nor in KEYWARD_TOKEN${looked}`;
  }
  const refused = 'is refused: it is not known there, is switched off, or has expired';
  if (token === io().env['KEYWARD_TOKEN']) return `the token in KEYWARD_TOKEN ${refused}`;
  return isOwn(options) && token === adminToken()
    ? `the token in ${file} ${refused}; "keyward bootstrap --reissue" makes a new one`
    : `the token that was given ${refused}`;
}
