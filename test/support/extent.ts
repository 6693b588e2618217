/** IS_FULL is true in `npm run test:full`, which runs the long form of everything. */
export const IS_FULL = process.env['KEYWARD_TEST_FULL'] === '1';

/**
 * extent is how much a test does whose worth grows with its length: a little in `npm test`, much in
 * `npm run test:full`, and what a variable of its own says before both.
 */
export function extent(variable: string, short: number, full: number): number {
  return Number(process.env[variable] ?? (IS_FULL ? full : short));
}
