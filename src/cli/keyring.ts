import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError, type Config } from '../config.js';
import { FernetKey } from '../crypto/fernet.js';
import { Keyring } from '../crypto/keyring.js';
import { MalformedKey, readKeys } from '../crypto/read-keys.js';
import { createFileOnce } from '../db/embedded/create-once.js';
import { hasCode } from '../db/embedded/errors.js';
import { systemClock } from '../lib/clock.js';

/**
 * openKeyring gives the keys that the settings name. With a database of one's own they must name some; the
 * embedded mode makes a key once and keeps it in the data directory, whose keys always decrypt.
 *
 * @throws ConfigError, which names the setting or the file, and shows no key
 */
export async function openKeyring(config: Config): Promise<Keyring> {
  const given = await givenKeys(config);
  if (config.databaseUrl === undefined) {
    return new Keyring([...given, ...(await embeddedKeys(config.dataDir, given.length === 0))], systemClock);
  }
  if (given.length === 0) {
    throw new ConfigError(
      'KEYWARD_FERNET_KEYS or KEYWARD_FERNET_KEYS_FILE must be set with DATABASE_URL; "keyward keys generate" makes a key',
    );
  }
  return new Keyring(given, systemClock);
}

async function givenKeys({ fernetKeys, fernetKeysFile }: Config): Promise<readonly FernetKey[]> {
  if (fernetKeysFile === undefined) return fernetKeys;
  return keysOf('the file of KEYWARD_FERNET_KEYS_FILE', await readText(fernetKeysFile));
}

async function readText(file: string): Promise<string> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
    throw new ConfigError(`the file of KEYWARD_FERNET_KEYS_FILE cannot be read: ${code}`, { cause: error });
  }
}

/** embeddedKeys reads the data directory's keys; `isNeeded` makes one where there is none. */
async function embeddedKeys(dataDir: string, isNeeded: boolean): Promise<readonly FernetKey[]> {
  const file = join(dataDir, 'fernet-keys');
  const text = await readIfPresent(file);
  if (text !== undefined) return keysOf(file, text);
  if (!isNeeded) return [];
  await mkdir(dataDir, { recursive: true, mode: 0o700 });
  // Of two processes that start together one makes the file, and both read it.
  await createFileOnce(file, `${FernetKey.generate()}\n`);
  return keysOf(file, await readFile(file, 'utf8'));
}

async function readIfPresent(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** keysOf reads a file's keys, of which there must be one. */
function keysOf(source: string, text: string): FernetKey[] {
  try {
    const keys = readKeys(text);
    if (keys.length === 0) throw new ConfigError(`${source} must hold a key`);
    return keys;
  } catch (error) {
    if (!(error instanceof MalformedKey)) throw error;
    throw new ConfigError(`${source} ${error.message}`, { cause: error });
  }
}
