import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError, type Config } from '../config.js';
import { FernetKey } from '../crypto/fernet.js';
import { Keyring } from '../crypto/keyring.js';
import { MalformedKey, readKeys } from '../crypto/read-keys.js';
import { createFileOnce } from '../db/embedded/create-once.js';
import { systemClock } from '../lib/clock.js';
import { makePrivateDirectory, readPrivately } from '../lib/private-file.js';
import { codeOf } from '../lib/errno.js';

/**
 * openKeyring gives the keys that the settings name. With a database of one's own they must name some; the
 * embedded mode makes a key once and keeps it in the data directory, whose keys always decrypt.
 *
 * @param onWarning is told of a file of keys that others can read
 * @param mayMake whether the embedded mode's key is made where there is none
 * @throws ConfigError or NotPrivateError, which name the setting or the file, and show no key
 */
export async function openKeyring(
  config: Config,
  onWarning: (line: string) => void = () => undefined,
  mayMake = true,
): Promise<Keyring> {
  const given = await givenKeys(config, onWarning);
  if (config.databaseUrl === undefined) {
    const isNeeded = given.length === 0;
    return new Keyring([...given, ...(await embeddedKeys(config.dataDir, isNeeded, mayMake))], systemClock);
  }
  if (given.length === 0) {
    throw new ConfigError(
      'KEYWARD_FERNET_KEYS or KEYWARD_FERNET_KEYS_FILE must be set with DATABASE_URL; "keyward keys generate" makes a key',
    );
  }
  return new Keyring(given, systemClock);
}

async function givenKeys(
  { fernetKeys, fernetKeysFile }: Config,
  onWarning: (line: string) => void,
): Promise<readonly FernetKey[]> {
  if (fernetKeysFile === undefined) return fernetKeys;
  return keysOf('the file of KEYWARD_FERNET_KEYS_FILE', await readKeysFile(fernetKeysFile, onWarning));
}

const WRITABLE_BY_OTHERS = 0o022;
const READABLE_BY_ALL = 0o004;

/**
 * readKeysFile is less strict than the data directory is: what orchestrators mount belongs to root, is reached
 * through symbolic links, and is often open to a group. But who can write to it can have every secret encrypted with
 * a key of theirs.
 */
async function readKeysFile(path: string, onWarning: (line: string) => void): Promise<string> {
  try {
    const file = await open(path);
    try {
      const { mode } = await file.stat();
      if ((mode & WRITABLE_BY_OTHERS) !== 0) {
        throw new ConfigError(
          'the file of KEYWARD_FERNET_KEYS_FILE can be changed by others: run "chmod go-w" on it',
        );
      }
      if ((mode & READABLE_BY_ALL) !== 0) {
        onWarning('the file of KEYWARD_FERNET_KEYS_FILE can be read by every user of this system');
      }
      return await file.readFile('utf8');
    } finally {
      await file.close();
    }
  } catch (error) {
    if (error instanceof ConfigError) throw error;
    const code = codeOf(error) ?? 'unknown';
    throw new ConfigError(`the file of KEYWARD_FERNET_KEYS_FILE cannot be read: ${code}`, { cause: error });
  }
}

/** embeddedKeys reads the data directory's keys. Where there is none, and one is needed, it is made. */
async function embeddedKeys(
  dataDir: string,
  isNeeded: boolean,
  mayMake: boolean,
): Promise<readonly FernetKey[]> {
  if (mayMake) await makePrivateDirectory(dataDir);
  const file = join(dataDir, 'fernet-keys');
  const text = readPrivately(file);
  if (text !== undefined) return keysOf(file, text);
  if (!isNeeded) return [];
  if (!mayMake) throw new ConfigError(`there is no key: ${file} is gone. Bring it back from your copy`);
  // Of two processes that start together one makes the file, and both read it.
  await createFileOnce(file, `${FernetKey.generate()}\n`);
  return keysOf(file, readPrivately(file) ?? '');
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
