import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { beginningOfData, tracesOfAll } from '../../support/traces.js';

const FORMS: Readonly<Record<string, (value: Buffer) => string | Buffer>> = {
  'as it is': (value) => value,
  'read as UTF-8': (value) => value.toString('utf8'),
  'read as characters of a byte': (value) => value.toString('latin1'),
  'as JSON': (value) => JSON.stringify(value.toString('utf8')),
  'in hexadecimal': (value) => value.toString('hex'),
  'as numbers': (value) => JSON.stringify([...value]),
  'in base64': (value) => value.toString('base64'),
  'in base64, behind one byte': (value) => Buffer.concat([Buffer.alloc(1, 7), value]).toString('base64'),
  'in base64url, behind two bytes': (value) =>
    Buffer.concat([Buffer.alloc(2, 7), value]).toString('base64url'),
};

test.each(Object.entries(FORMS))('a value that shows %s is found among many', (_, form) => {
  for (let round = 0; round < 200; round += 1) {
    const beginning = beginningOfData();
    const values = Array.from({ length: 3 }, () => Buffer.concat([beginning, randomBytes(39)]));
    const shown = Buffer.from(form(values[1] ?? beginning));
    const bytes = Buffer.concat([randomBytes(100), shown, randomBytes(100)]);
    expect(tracesOfAll(values, [beginning], bytes)).not.toEqual([]);
    expect(tracesOfAll(values, [beginning], randomBytes(300))).toEqual([]);
  }
});
