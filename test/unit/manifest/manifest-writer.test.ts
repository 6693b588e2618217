import { describe, expect, test } from 'vitest';
import { MAX_PAGE } from '../../../src/lib/page-size.js';
import { Violations } from '../../../src/lib/violations.js';
import { readManifest } from '../../../src/manifest/manifest-reader.js';
import { writeManifest, type Described, type Format } from '../../../src/manifest/manifest-writer.js';

const OWNER = {
  profileId: 1n,
  userId: 1n,
  username: 'shop',
  accountId: 1n,
  accountNumber: '1000-2000-3000',
  isSuperuser: false,
  isStaff: true,
};

/** longest has all fields at their longest, of one character. */
function longest(character: string): Described {
  const text = (length: number): string => character.repeat(length);
  const numbered = (index: number, length: number): string =>
    `${String(index).padStart(2, '0')}${text(length - 2)}`;
  const many = Array.from({ length: 64 }, (_, index) => index);
  return {
    ...{ id: 1n, rowVersion: 1n, createdAt: 0n, updatedAt: 0n, name: 'longest', owner: OWNER },
    ...{ description: text(10_000), version: '1.0.0', manifestPath: text(1024) },
    tags: many.map((index) => numbered(index, 100)),
    annotations: new Map(many.map((index) => [numbered(index, 253), text(4096)])),
    ...{ scopes: ['*'], prefix: '', expiresAt: null, isActive: true },
  } as Described;
}

describe.each(['JSON', 'YAML'] as const satisfies readonly Format[])('a document in %s', (format) => {
  test.each([
    ['tags that nobody sees', '\u{e0041}'],
    ['marks of writing order', '\u202e'],
    ['control characters', '\u0001'],
    ['quotation marks', '"'],
    ['keys', '🔑'],
  ])('of %s takes at most 3 MiB', (_, character) => {
    const text = writeManifest('ApiKey', longest(character), {}, format);
    expect(Buffer.byteLength(text)).toBeLessThanOrEqual(MAX_PAGE);
  });

  test('shows what is hidden by its number, as long as it is short, and is read back', () => {
    const resource = { ...longest('a'), description: '\u{e0041}\u202e' } as Described;
    const text = writeManifest('ApiKey', resource, {}, format);
    expect(text).not.toMatch(/\p{Cf}/u);
    const v = new Violations();
    const [document] = readManifest(v, text).documents;
    expect(v.all).toEqual([]);
    expect(document?.settings['description']).toBe('\u{e0041}\u202e');
  });
});
