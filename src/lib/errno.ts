/** hasCode tells whether a caught value carries this error code (a system errno name or an SQLSTATE). */
export function hasCode(error: unknown, ...codes: readonly string[]): boolean {
  return error instanceof Error && 'code' in error && codes.includes(String(error.code));
}
