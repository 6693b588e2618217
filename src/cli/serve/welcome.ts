import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { DEFAULT_SERVER } from '@keyward/client/transport';
import type { Config } from '../../config.js';
import { adminTokenFile } from '../client-options.js';

const PROTOS = fileURLToPath(new URL('../../../proto', import.meta.url));
const SERVICE = 'keyward.token.v1.TokenService';

type WelcomeConfig = Pick<Config, 'listen' | 'dataDir' | 'tlsCert' | 'tlsClientCa' | 'reflection'>;

/**
 * welcome tells what to try, by commands that work as they stand with these settings. What only the reader knows, such as
 * the file of an authority, is in capital letters and explained.
 */
export function welcome(config: WelcomeConfig, port: number): string {
  const tls = config.tlsCert === undefined ? undefined : readTls(config.tlsCert);
  const address = `${tls?.host ?? reachable(config.listen.host)}:${port}`;
  const file = shellWord(adminTokenFile(config.dataDir));
  const grpcurl = grpcurlOptions(config, tls);
  const keyward = keywardOptions(config, tls, address);
  // Others can read command lines, so grpcurl puts the token in, and reads what else is a credential from its input.
  const call = `grpcurl ${grpcurl} -expand-headers -H "$AUTH" -d @ ${address} ${SERVICE}`;
  const list = config.reflection ? `  grpcurl ${grpcurl} ${address} list\n` : '';
  return `
Keyward serves on ${address}. The admin token is in ${file}. Try, in another terminal, in this directory:

  export KEYWARD_TOKEN=$(cat ${file}) AUTH='authorization: Bearer \${KEYWARD_TOKEN}' NAME=try-$(date +%s)
${list}  echo "{\\"name\\": \\"$NAME\\"}" | ${call}/CreateToken
  echo '{"token": "a text that a client presents"}' | ${call}/ValidateToken

or without grpcurl:

  npx keyward call${keyward} ${SERVICE}/ListTokens
  npx keyward validate${keyward} -
  npx keyward secret set${keyward} $NAME
  npx keyward secret access${keyward} $NAME
${notes(config, tls)}
Ctrl-C stops Keyward and its database.

`;
}

/** ServerTls is what can be told of the server's certificate. */
interface ServerTls {
  /** A name that the certificate is for. */
  readonly host: string;
  /** File of the authority, or what stands for it where the certificate is not its own. */
  readonly ca: string;
  readonly isOwnAuthority: boolean;
}

function readTls(file: string): ServerTls {
  const certificate = new X509Certificate(readFileSync(file));
  const isOwnAuthority = certificate.checkIssued(certificate);
  return { host: nameOf(certificate), ca: isOwnAuthority ? shellWord(file) : 'CA.pem', isOwnAuthority };
}

/** nameOf is one that leads here by itself, if the certificate has it, or else its first one. */
function nameOf(certificate: X509Certificate): string {
  if (certificate.checkHost('localhost') !== undefined) return 'localhost';
  if (certificate.checkIP('127.0.0.1') !== undefined) return '127.0.0.1';
  return /(?:^|, )DNS:([^,*]+)/.exec(certificate.subjectAltName ?? '')?.[1] ?? 'localhost';
}

/** reachable is where a server can be reached from its own machine that listens on all addresses. */
function reachable(host: string): string {
  return host === '0.0.0.0' ? '127.0.0.1' : host.replace(/^\[::\]$/, '[::1]');
}

function grpcurlOptions({ tlsClientCa, reflection }: WelcomeConfig, tls: ServerTls | undefined): string {
  const protos = shellWord(PROTOS);
  return [
    tls === undefined ? '-plaintext' : `-cacert ${tls.ca}`,
    ...(tlsClientCa === undefined ? [] : ['-cert CLIENT.pem -key CLIENT-KEY.pem']),
    ...(reflection
      ? []
      : [`-import-path ${protos} -import-path ${protos}/vendor -proto keyward/token/v1/token_service.proto`]),
  ].join(' ');
}

function keywardOptions({ tlsClientCa }: WelcomeConfig, tls: ServerTls | undefined, address: string): string {
  return [
    ...(address === DEFAULT_SERVER ? [] : [` --server ${address}`]),
    ...(tls === undefined ? [] : [` --ca ${tls.ca}`]),
    ...(tlsClientCa === undefined ? [] : [' --cert CLIENT.pem --key CLIENT-KEY.pem']),
  ].join('');
}

function notes({ tlsClientCa }: WelcomeConfig, tls: ServerTls | undefined): string {
  const lines = [
    ...(tls === undefined || tls.isOwnAuthority
      ? []
      : ['CA.pem is the file of the authority that made the certificate of KEYWARD_TLS_CERT.']),
    ...(tlsClientCa === undefined
      ? []
      : ['CLIENT.pem is a certificate of an authority in KEYWARD_TLS_CLIENT_CA, with its key.']),
  ];
  return lines.map((line) => `\n${line}\n`).join('');
}

/** shellWord is a text as one word of a shell's command. */
function shellWord(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}
