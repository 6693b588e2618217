/** EmbeddedPostgresError says why the embedded database cannot be had, and what a person can do about it. */
export class EmbeddedPostgresError extends Error {
  override readonly name = 'EmbeddedPostgresError';
}
