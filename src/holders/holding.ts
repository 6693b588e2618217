import type { Eviction } from '../coherence/ports.js';
import { ALL_FORGOTTEN, type Forgotten, type HeldChange } from './held-change.js';
import type { Handle } from './handles.js';
import { Registrations, type OwnerIds } from './registrations.js';

/** Values of secrets that a client may hold. */
export const MAX_SECRETS = 1_000;
/** Part of the tokens that goes at once where there is no room. */
const PUSHED_OUT = 1 / 16;

/** Named is what a client names of what it holds. */
export interface Named {
  readonly tokens: readonly { readonly owner: OwnerIds; readonly handles: readonly Handle[] }[];
  readonly secretIds: readonly bigint[];
}

/** Holding is what a client holds, as far as its replica knows: never less than it does. */
export class Holding {
  readonly #most: number;
  readonly #tokens: Registrations;
  readonly #secrets = new Set<bigint>();
  /** What is on its way out, and held until that is acknowledged. */
  readonly #leaving = new Set<Handle>();

  /** `most` is how many tokens there may be. */
  constructor(most: number) {
    this.#most = most;
    this.#tokens = new Registrations(most);
  }

  get size(): number {
    return this.#tokens.size + this.#secrets.size;
  }

  addNamed({ tokens, secretIds }: Named): void {
    for (const { owner, handles } of tokens) for (const handle of handles) this.#tokens.add(handle, owner);
    for (const id of secretIds) this.#secrets.add(id);
  }

  /** addToken tells whether there was room. */
  addToken(handle: Handle, owner: OwnerIds): boolean {
    this.#leaving.delete(handle);
    return this.#tokens.add(handle, owner);
  }

  addSecret(id: bigint): boolean {
    if (this.#secrets.size < MAX_SECRETS) this.#secrets.add(id);
    return this.#secrets.has(id);
  }

  hasSecret(id: bigint): boolean {
    return this.#secrets.has(id);
  }

  /** pushOut chooses what is to go, so that there is room; undefined while something is on its way out. */
  pushOut(): Handle[] | undefined {
    if (this.#leaving.size > 0) return undefined;
    const handles = this.#tokens.oldest(Math.max(1, Math.floor(this.#most * PUSHED_OUT)));
    for (const handle of handles) this.#leaving.add(handle);
    return handles;
  }

  /** pushedOut lets go of what was to go. */
  pushedOut(): void {
    this.release([...this.#leaving]);
    this.#leaving.clear();
  }

  release(handles: readonly Handle[]): void {
    for (const handle of handles) this.#tokens.remove(handle);
  }

  /** forget gives what of a change is held, and lets go of it; undefined for nothing. */
  forget(change: HeldChange): Forgotten | undefined {
    if (change.everything) return this.clear();
    const handles = change.handles.filter((handle) => this.#tokens.remove(handle));
    const owners = change.hasOwners ? this.#tokens.removeOf(change.owners) : change.owners;
    // Whoever owns a secret, or may read it, may be another by now.
    const allSecrets = (change.hasOwners || change.secretIds === 'all') && this.#secrets.size > 0;
    if (allSecrets) this.#secrets.clear();
    const secretIds =
      change.secretIds === 'all' ? [] : change.secretIds.filter((id) => this.#secrets.delete(id));
    const isNothing = handles.length + secretIds.length + numberOf(owners) === 0 && !allSecrets;
    return isNothing ? undefined : { everything: false, handles, owners, secretIds, allSecrets };
  }

  clear(): Forgotten | undefined {
    const forgotten = this.size === 0 ? undefined : ALL_FORGOTTEN;
    this.#tokens.clear();
    this.#secrets.clear();
    this.#leaving.clear();
    return forgotten;
  }
}

function numberOf({ profileIds, userIds, accountIds }: Eviction['owners']): number {
  return profileIds.length + userIds.length + accountIds.length;
}
