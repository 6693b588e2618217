import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { createSecureContext } from 'node:tls';
import { ConfigError, SETTINGS, type Config } from '../config.js';
import { codeOf } from '../lib/errno.js';

/** ServerTls is what the settings of TLS name: PEM, of which each part was read and fits the others. */
export interface ServerTls {
  readonly cert: Buffer;
  readonly key: Buffer;
  /** Authorities whose client certificates are accepted; null for none. */
  readonly ca: Buffer | null;
}

/**
 * readServerTls reads the files of TLS; undefined where none is wanted.
 *
 * @throws ConfigError, which names the setting and the file, and shows nothing of a key
 */
export async function readServerTls({
  tlsCert,
  tlsKey,
  tlsClientCa,
}: Config): Promise<ServerTls | undefined> {
  if (tlsCert === undefined || tlsKey === undefined) return undefined;
  const cert = await readPem('tlsCert', tlsCert);
  const key = await readPem('tlsKey', tlsKey);
  const ca = tlsClientCa === undefined ? null : await readPem('tlsClientCa', tlsClientCa);
  const certificate = certificateOf('tlsCert', tlsCert, cert);
  if (!certificate.checkPrivateKey(privateKeyOf(tlsKey, key))) {
    throw new ConfigError(
      `${SETTINGS.tlsKey.variable} is not the key of the certificate in ${SETTINGS.tlsCert.variable}: ` +
        `${tlsKey} and ${tlsCert} do not belong together`,
    );
  }
  if (tlsClientCa !== undefined && ca !== null) certificateOf('tlsClientCa', tlsClientCa, ca);
  try {
    createSecureContext({ cert, key, ...(ca === null ? {} : { ca }) });
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new ConfigError(`TLS cannot be served with ${tlsCert} and ${tlsKey}: ${why}`, { cause });
  }
  return { cert, key, ca };
}

type TlsSetting = 'tlsCert' | 'tlsKey' | 'tlsClientCa';

async function readPem(setting: TlsSetting, path: string): Promise<Buffer> {
  try {
    return await readFile(path);
  } catch (cause) {
    const code = codeOf(cause) ?? 'unknown';
    const why = code === 'ENOENT' ? 'there is no such file' : code;
    throw new ConfigError(`${SETTINGS[setting].variable}: ${path} cannot be read: ${why}`, { cause });
  }
}

function certificateOf(setting: TlsSetting, path: string, pem: Buffer): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    throw new ConfigError(`${SETTINGS[setting].variable}: ${path} holds no certificate in PEM`, { cause });
  }
}

function privateKeyOf(path: string, pem: Buffer): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    const { variable } = SETTINGS.tlsKey;
    throw new ConfigError(`${variable}: ${path} holds no private key in PEM without a passphrase`, { cause });
  }
}
