import { FernetKey } from '../../src/crypto/fernet.js';
import type { Keyring } from '../../src/crypto/keyring.js';
import type { ImportReport } from '../../src/smarter/report.js';
import {
  createImportTarget,
  plaintextOf,
  ringOf,
  type ImportedSecret,
  type ImportTarget,
} from './import-target.js';
import {
  createSmarterDatabase,
  keysOf,
  readExpected,
  type Expected,
  type SmarterDatabase,
  type StoredSecret,
} from './smarter-source.js';

/** SecretImport is a Smarter database and an empty Keyward, for tests about secrets. */
export interface SecretImport {
  readonly expected: Expected;
  /** The keys that the source's secrets were encrypted with. */
  readonly keyring: Keyring;
  readonly source: SmarterDatabase;
  readonly target: ImportTarget;
  /** run imports with the right keys, if given no others. */
  run(keyring?: Keyring): Promise<ImportReport>;
  /** readable is the secret at a place among those whose value a key opens. */
  readable(place: number): StoredSecret;
  /** store puts bytes where Smarter keeps the value of a secret. */
  store(secret: StoredSecret, value: Buffer): Promise<void>;
  /** encrypt is what Smarter would store. */
  encrypt(plaintext: string | Buffer): Buffer;
  imported(secret: StoredSecret): Promise<ImportedSecret>;
  /** valueOf is the newest imported value; undefined where it cannot be read. */
  valueOf(secret: StoredSecret): Promise<string | undefined>;
  drop(): Promise<void>;
}

export async function createSecretImport(): Promise<SecretImport> {
  const expected = await readExpected();
  const keyring = ringOf(...keysOf(expected));
  const key = FernetKey.parse(expected.fernet_keys.current);
  const target = await createImportTarget();
  const source = await createSmarterDatabase();
  const imported = async ({ id }: StoredSecret) => {
    const secret = (await target.secrets()).get(id);
    if (!secret) throw new Error(`secret ${id} was not imported`);
    return secret;
  };
  return {
    expected,
    keyring,
    source,
    target,
    run: (ring = keyring) => target.run(source.url, { keyring: ring }),
    readable: (place) => {
      const secret = expected.secrets.filter((each) => each.expected === 'ok')[place];
      if (!secret) throw new Error(`there are not ${place + 1} readable secrets`);
      return secret;
    },
    store: async ({ id }, value) => {
      await source.run(
        `UPDATE secret_secret SET encrypted_value = '\\x${value.toString('hex')}' WHERE id = ${id}`,
      );
    },
    encrypt: (plaintext) => {
      if (!key) throw new Error('no key');
      return key.encrypt(Buffer.from(plaintext), 1_600_000_000n);
    },
    imported,
    valueOf: async (secret) => plaintextOf(await imported(secret), keyring)?.toString(),
    drop: async () => {
      await target.drop();
      await source.drop();
    },
  };
}

/** notesOf is what a report tells of a secret. */
export function notesOf({ notes }: ImportReport, { id }: StoredSecret): string[] {
  return notes.filter(({ kind, key }) => kind === 'secret' && key === String(id)).map(({ what }) => what);
}

/** strangerRing is a keyring that opens nothing of the source. */
export function strangerRing(): Keyring {
  return ringOf(FernetKey.generate());
}
