import type { VerdictReason } from './verdict.js';

/** ValidationCounts counts answers by reason, as plain numbers: the fastest answers have no time for more. */
export type ValidationCounts = Record<VerdictReason, number>;

export function noValidations(): ValidationCounts {
  return {
    OK: 0,
    UNKNOWN: 0,
    EXPIRED: 0,
    OWNER_INACTIVE: 0,
    INACTIVE: 0,
    ACCOUNT_INACTIVE: 0,
    INSUFFICIENT_SCOPE: 0,
  };
}
