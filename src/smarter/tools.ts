import type { Keyring } from '../crypto/keyring.js';
import type { Conflicts } from './conflicts.js';
import type { FreeNames } from './free-names.js';
import type { Promotions } from './promotions.js';

/** Tools are what the batches of one import share. */
export interface Tools {
  readonly keyring: Keyring;
  readonly conflicts: Conflicts;
  readonly promotions: Promotions;
  readonly tokenNames: FreeNames;
  readonly secretNames: FreeNames;
}
