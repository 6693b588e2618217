import { readFileSync } from 'node:fs';

/** Vector is what one helper function of the Smarter platform makes of one input. */
interface Vector {
  readonly input: unknown;
  readonly output?: unknown;
  readonly error?: unknown;
  /** Accepted only because of a peculiarity of Python's regular expressions. */
  readonly python_quirk?: boolean;
}

interface Vectors {
  readonly constants: { readonly platform_account_number: string };
  readonly hashed_id: readonly { readonly id_text: string; readonly hashed_id: string }[];
  readonly id_from_hashed_id: readonly (Vector & { readonly canonical?: boolean | null })[];
  readonly record_locator: readonly {
    readonly model: string;
    readonly id: number | null;
    readonly record_locator?: string;
  }[];
  readonly find_hash: readonly Vector[];
  readonly rfc1034_compliant_str: readonly Vector[];
  readonly rfc1034_compliant_to_snake: readonly Vector[];
  readonly mask_string: readonly {
    readonly function: 'util' | 'mixin';
    readonly args: Readonly<Record<string, unknown>>;
    readonly output?: unknown;
  }[];
  readonly is_valid_semantic_version: readonly Vector[];
  readonly data_to_dict: readonly Vector[];
  readonly account_number: readonly (Vector & { readonly accepted: boolean })[];
}

/** SMARTER_VECTORS were recorded by running the platform's own functions. */
export const SMARTER_VECTORS = JSON.parse(
  readFileSync(new URL('../fixtures/smarter/helpers-vectors.json', import.meta.url), 'utf8'),
) as Vectors;
