import { etagMismatch } from './errors.js';

/** etagOf is the opaque mark of one state of a row, made from the number that every change raises. */
export function etagOf(rowVersion: bigint): string {
  return Buffer.from(`v${String(rowVersion)}`, 'latin1').toString('base64url');
}

/** requireEtag refuses a change that was decided on another state of a resource; an empty etag stands for any. */
export function requireEtag(
  kind: string,
  etag: string,
  { rowVersion }: { readonly rowVersion: bigint },
): void {
  if (etag !== '' && etag !== etagOf(rowVersion)) throw etagMismatch(kind);
}
