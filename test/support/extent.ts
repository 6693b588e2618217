/**
 * extent is how much a test does whose worth grows with its length: a little in `npm test`, much in
 * `npm run test:full`, and what a variable of its own says before both.
 */
export function extent(variable: string, short: number, full: number): number {
  const isFull = process.env['KEYWARD_TEST_FULL'] === '1';
  return Number(process.env[variable] ?? (isFull ? full : short));
}
