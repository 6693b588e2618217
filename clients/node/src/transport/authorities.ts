import { existsSync, readFileSync } from 'node:fs';
import * as tls from 'node:tls';

/** What newer versions of Node (22.15, 23.9) tell of the machine's authorities. */
interface NewerTls {
  readonly getCACertificates?: (type: 'system') => string[];
}

/** Where Linux distributions, the BSDs and macOS keep all authorities that the machine trusts in one file. */
const SYSTEM_FILES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];

/** Variables with which gRPC and OpenSSL are told of another file. */
const NAMED_BY = ['GRPC_DEFAULT_SSL_ROOTS_FILE_PATH', 'SSL_CERT_FILE'];

/**
 * systemAuthorities are the authorities that this machine trusts, PEM, with those of NODE_EXTRA_CA_CERTS. Where it
 * keeps none, as slim container images do, they are those that come with Node.
 */
export function systemAuthorities(env: NodeJS.ProcessEnv): Buffer {
  const { getCACertificates } = tls as NewerTls;
  const named = NAMED_BY.map((variable) => env[variable]).find((file) => file !== undefined && file !== '');
  const system =
    named === undefined
      ? (getCACertificates?.('system') ?? contentOf(SYSTEM_FILES.find(existsSync)))
      : contentOf(named);
  const extra = contentOf(env['NODE_EXTRA_CA_CERTS']);
  const all = [...(system.length === 0 ? tls.rootCertificates : system), ...extra];
  // A machine lists many in two places, and each takes its time to read.
  return Buffer.from([...new Set(all.map((pem) => pem.trim()))].join('\n'));
}

function contentOf(file: string | undefined): string[] {
  return file === undefined || file === '' ? [] : [readFileSync(file, 'utf8')];
}
