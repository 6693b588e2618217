import { readFileSync } from 'node:fs';
import { FernetKey } from '../../src/crypto/fernet.js';

/** Sealed is a token, the key that made it and what it holds. */
interface Sealed {
  readonly name: string;
  readonly key: string;
  readonly token: string;
  readonly plaintext_b64: string;
}

interface FernetVectors {
  readonly valid: readonly (Sealed & { readonly timestamp_text: string; readonly iv_hex: string })[];
  readonly multi_key: readonly {
    readonly name: string;
    readonly keys: readonly string[];
    readonly token: string;
    readonly valid: boolean;
    readonly plaintext_b64: string;
  }[];
  readonly invalid: readonly { readonly name: string; readonly key: string; readonly token: string }[];
  readonly lenient_accepted: readonly Sealed[];
  readonly ttl: readonly (Sealed & {
    readonly ttl_seconds: number;
    readonly now: number;
    readonly valid: boolean;
  })[];
  readonly keys_check: readonly { readonly name: string; readonly key: string; readonly accepted: boolean }[];
}

/** FERNET_VECTORS were recorded from Python's `cryptography`. */
export const FERNET_VECTORS = readJson('smarter/fernet-vectors.json') as FernetVectors;

interface SpecificationVector {
  readonly desc?: string;
  readonly token: string;
  readonly now: string;
  readonly secret: string;
  readonly ttl_sec: number;
}

/** FERNET_SPECIFICATION holds the vectors published with the Fernet specification, github.com/fernet/spec. */
export const FERNET_SPECIFICATION = {
  generate: readJson('fernet-spec/generate.json') as readonly (SpecificationVector & {
    readonly iv: readonly number[];
    readonly src: string;
  })[],
  verify: readJson('fernet-spec/verify.json') as readonly (SpecificationVector & { readonly src: string })[],
  invalid: readJson('fernet-spec/invalid.json') as readonly (SpecificationVector & {
    readonly desc: string;
  })[],
};

/** fernetKey is the key of a text that is one. */
export function fernetKey(text: string): FernetKey {
  const key = FernetKey.parse(text);
  if (key === undefined) throw new Error('not a Fernet key');
  return key;
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(new URL(`../fixtures/${path}`, import.meta.url), 'utf8'));
}
