/** EmbeddedPostgresError says why the embedded database cannot be had, and what a person can do about it. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
}

/** hasCode tells whether a caught value carries this error code (a system errno name or an SQLSTATE). */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
