import type { Instant } from '../lib/instant.js';
import { firstNotCovered } from '../lib/scopes.js';
import type { Token } from './token.js';

/** Power is what decides which plaintexts of a token pass, for whom, for what and how long. */
export type Power = Pick<Token, 'owner' | 'digest' | 'graceEndsAt' | 'isActive' | 'expiresAt' | 'scopes'>;

/**
 * isGain tells whether a change of a token lets a plaintext pass that did not pass before, or for more, or for longer;
 * `before` is undefined for a new token. Each part counts by itself, whatever another part takes away: a later expiry is
 * a gain on a token that is switched off.
 *
 * A gain needs the rank of the owner (mayActAs) and all scopes that the token has afterwards. Everything else needs
 * only the right to manage the token.
 */
export function isGain(before: Power | undefined, after: Power): boolean {
  return (
    before === undefined ||
    after.digest !== before.digest ||
    after.owner.profileId !== before.owner.profileId ||
    (after.isActive && !before.isActive) ||
    lasts(after.expiresAt) > lasts(before.expiresAt) ||
    (after.graceEndsAt ?? 0n) > (before.graceEndsAt ?? 0n) ||
    firstNotCovered(before.scopes, after.scopes) !== undefined
  );
}

/** endsSooner tells whether a change brings the expiry of a token nearer. */
export function endsSooner(before: Pick<Token, 'expiresAt'>, after: Pick<Token, 'expiresAt'>): boolean {
  return lasts(after.expiresAt) < lasts(before.expiresAt);
}

function lasts(expiresAt: Instant | null): Instant | number {
  return expiresAt ?? Infinity;
}
