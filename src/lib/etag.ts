/** etagOf is the opaque mark of one state of a row, made from the number that every change raises. */
export function etagOf(rowVersion: bigint): string {
  return Buffer.from(`v${String(rowVersion)}`, 'latin1').toString('base64url');
}
