import type { Violations } from '../lib/violations.js';

/**
 * readMask collects the changes of the fields that a mask names. `readers` has one entry for each field that
 * may be changed, by its name in the proto.
 */
export function readMask<Change extends object>(
  v: Violations,
  mask: readonly string[] | undefined,
  readers: Readonly<Record<string, () => Change>>,
): Change {
  const paths = [...new Set(mask ?? [])];
  v.check(paths.length > 0, 'update_mask', 'must name at least one field');
  const change = {};
  for (const path of paths) {
    const read = Object.hasOwn(readers, path) ? readers[path] : undefined;
    if (read === undefined) {
      v.add('update_mask', `must only name fields of ${Object.keys(readers).join(', ')}`);
      break;
    }
    Object.assign(change, read());
  }
  return change as Change;
}
