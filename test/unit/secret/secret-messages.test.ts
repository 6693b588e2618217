import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { Violations } from '../../../src/lib/violations.js';
import { readPayload } from '../../../src/secret/secret-messages.js';

test('a value that is read lies in memory of its own, and no more where it came from', () => {
  const given = Buffer.from(randomBytes(48));
  const before = Buffer.from(given).toString('hex');
  const data = readPayload(new Violations(), 'payload', { value: { $case: 'data', value: given } });
  const text = readPayload(new Violations(), 'payload', { value: { $case: 'text', value: before } });
  expect(Buffer.from(data.bytes).toString('hex')).toBe(before);
  expect(Buffer.from(text.bytes).toString()).toBe(before);
  for (const { bytes } of [data, text]) expect(bytes.buffer.byteLength).toBe(bytes.length);
  expect(given.equals(Buffer.alloc(given.length))).toBe(true);
});
