import type { Caller, RepeatableMethod } from '../authz/caller.js';
import { isUuid } from '../lib/text.js';
import type { Violations } from '../lib/violations.js';

const ZEROS = '00000000-0000-0000-0000-000000000000';

/** readRepeatable is the caller of a call that has a `request_id`, which is empty for none. */
export function readRepeatable(
  v: Violations,
  caller: Caller,
  method: RepeatableMethod,
  requestId: string,
): Caller {
  if (requestId === '') return caller;
  const isGood = isUuid(requestId) && requestId !== ZEROS;
  v.check(isGood, 'request_id', 'must be a UUID in its form with hyphens, and not that of zeros');
  return { ...caller, repeatable: { method, requestId } };
}
