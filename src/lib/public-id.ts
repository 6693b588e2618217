/** The scheme of the platform that Keyward takes over from: public ids must not change when it does. */
const FLOOR = 1_000_000n;
const HASHED_ID = /^r([A-Za-z0-9_-]+)x$/;
export const MAX_ID = 2n ** 63n - 1n;
/**
 * A hashed id in a text, and the kind before it if that is no part of a longer word. Base64 has few letters for digits, so
 * that words are not taken for ids: three digits make a group of four letters, and one or two what is left.
 */
const IN_TEXT =
  /(?:(?<![A-Za-z0-9_])(account|userprofile|token|secret)-)?(r(?:[MNO][DTjz][AEIMQUYcgk][w-z0-5]){2,6}(?:[MNO](?:[AQgw]|[DTjz][AEIMQUYcgk]))?x)/g;

export type ResourceKind = 'account' | 'userprofile' | 'token' | 'secret';

/** hashedId is the public form of a number: `r`, the URL-safe base64 of the number plus 1,000,000, `x`. */
export function hashedId(id: bigint): string {
  return `r${Buffer.from(String(id + FLOOR), 'latin1').toString('base64url')}x`;
}

/**
 * idFromHashedId reads a hashed id back. Only the one form that `hashedId` writes is read;
 * anything else is undefined.
 */
export function idFromHashedId(text: string): bigint | undefined {
  const encoded = HASHED_ID.exec(text)?.[1];
  if (encoded === undefined) return undefined;
  const digits = Buffer.from(encoded, 'base64url').toString('latin1');
  if (!/^-?[0-9]{1,40}$/.test(digits)) return undefined;
  const id = BigInt(digits) - FLOOR;
  return hashedId(id) === text ? id : undefined;
}

/** recordLocator is the kind, a hyphen and the hashed id. */
export function recordLocator(kind: ResourceKind, id: bigint): string {
  return `${kind}-${hashedId(id)}`;
}

/** idFromRecordLocator reads a record locator of that kind back; anything else is undefined. */
export function idFromRecordLocator(kind: ResourceKind, text: string): bigint | undefined {
  const prefix = `${kind}-`;
  return text.startsWith(prefix) ? idFromHashedId(text.slice(prefix.length)) : undefined;
}

/** PublicId is an id as it stands in a text. */
export interface PublicId {
  readonly text: string;
  readonly id: bigint;
  /** Undefined for a hashed id, which does not tell. */
  readonly kind: ResourceKind | undefined;
}

/** publicIdsIn yields the hashed ids and record locators of a text that can stand for something, in their order. */
export function* publicIdsIn(text: string): Generator<PublicId, void, undefined> {
  for (const [whole, kind, hashed = ''] of text.matchAll(IN_TEXT)) {
    const id = idFromHashedId(hashed);
    if (id !== undefined && id > 0n && id <= MAX_ID)
      yield { text: whole, id, kind: kind as ResourceKind | undefined };
  }
}
