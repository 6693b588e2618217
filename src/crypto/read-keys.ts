import { FernetKey } from './fernet.js';

/** MalformedKey says which key of a list is none, and nothing of it. */
export class MalformedKey extends Error {
  override readonly name = 'MalformedKey';

  constructor(position: number) {
    super(
      `must be Fernet keys, each the base64 of 32 bytes, separated by commas: number ${position} is none`,
    );
  }
}

/**
 * readKeys reads keys that are separated by commas or stand on lines of their own.
 *
 * @throws MalformedKey
 */
export function readKeys(text: string): FernetKey[] {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '')
    .flatMap((line) => line.split(','))
    .map((each, index) => {
      const key = FernetKey.parse(each);
      if (key === undefined) throw new MalformedKey(index + 1);
      return key;
    });
}
