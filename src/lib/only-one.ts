import { KeywardError, notFound } from './errors.js';
import { recordLocator } from './public-id.js';

const MAX_CANDIDATES = 10;

/** onlyOne is the one resource among those that a reference names for the caller: NOT_FOUND or NAME_AMBIGUOUS otherwise. */
export function onlyOne<T>(kind: 'token' | 'secret', found: readonly T[], idOf: (resource: T) => bigint): T {
  const [only, ...others] = found;
  if (only === undefined) throw notFound(kind);
  if (others.length === 0) return only;
  const candidates = found.slice(0, MAX_CANDIDATES).map((each) => recordLocator(kind, idOf(each)));
  throw new KeywardError('NAME_AMBIGUOUS', `More than one ${kind} of this account has this name.`, {
    metadata: { candidates: candidates.join(',') },
  });
}
