import { InvalidArgumentError } from 'commander';

/** readVersionNumber reads the number of a version of a secret. */
export function readVersionNumber(text: string): number {
  if (!/^[1-9]\d{0,8}$/.test(text)) throw new InvalidArgumentError('It must be a number above 0.');
  return Number(text);
}
