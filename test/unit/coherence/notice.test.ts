import { describe, expect, test } from 'vitest';
import {
  EVERYTHING,
  readAcknowledgement,
  readNotice,
  writeAcknowledgement,
} from '../../../src/coherence/notice.js';
import { digestHex, digestOf } from '../../../src/crypto/digest.js';

const REPLICA = '0b7c2f0e-5a52-4f2b-8d3c-9f4f1f6f2a11';
const OTHER = '1b7c2f0e-5a52-4f2b-8d3c-9f4f1f6f2a11';
const DIGEST = digestHex(digestOf('a text'));
const EPOCH = '2b7c2f0e-5a52-4f2b-8d3c-9f4f1f6f2a11';
const NOTICE = {
  epoch: EPOCH,
  revision: '9223372036854775807',
  all: false,
  digests: [DIGEST],
  users: ['1'],
  accounts: ['2', '3'],
  profiles: ['100000001'],
  barriers: [
    { id: OTHER, writer: REPLICA },
    { id: REPLICA, writer: REPLICA },
  ],
};

describe('a notice', () => {
  test('is read as it was written; numbers are exact, and each writer is named once', () => {
    expect(readNotice(JSON.stringify(NOTICE))).toEqual({
      epoch: EPOCH,
      revision: 9_223_372_036_854_775_807n,
      eviction: {
        everything: false,
        digests: [digestOf('a text')],
        owners: { userIds: [1n], accountIds: [2n, 3n], profileIds: [100_000_001n] },
        secretIds: [],
      },
      writers: [REPLICA],
    });
  });

  test('names secrets, or all of them', () => {
    const read = (more: object) => readNotice(JSON.stringify({ ...NOTICE, ...more }))?.eviction.secretIds;
    expect(read({ secrets: ['7', '8'] })).toEqual([7n, 8n]);
    expect(read({ all_secrets: true })).toBe('all');
  });

  test('of everything', () => {
    const notice = { ...NOTICE, all: true, digests: [], users: [], accounts: [], profiles: [] };
    expect(readNotice(JSON.stringify(notice))).toEqual({
      epoch: EPOCH,
      revision: 9_223_372_036_854_775_807n,
      eviction: EVERYTHING,
      writers: [REPLICA],
    });
  });

  test.each<[string, object]>([
    ['a field more', { others: [] }],
    ['a field less', { users: undefined }],
    ['a digest in upper case', { digests: [DIGEST.toUpperCase()] }],
    ['a digest that is too short', { digests: [DIGEST.slice(1)] }],
    ['an id that is a number', { accounts: [1] }],
    ['an id that is none', { profiles: ['1x'] }],
    ['a writer that is none', { barriers: [{ id: OTHER, writer: 'x' }] }],
    ['no list', { digests: DIGEST }],
  ])('with %s may tell of anything, so everything is forgotten', (_, changes) => {
    expect(readNotice(JSON.stringify({ ...NOTICE, ...changes }))).toEqual({
      epoch: EPOCH,
      revision: 9_223_372_036_854_775_807n,
      eviction: EVERYTHING,
      writers: [],
    });
  });

  test.each([
    ...['', '{', '[]', 'null', '7', '{}', '{"revision":"7"}', `{"epoch":"${EPOCH}"}`],
    ...['7', '"-7"', '"7a"'].map((revision) => `{"epoch":"${EPOCH}","revision":${revision}}`),
    '{"epoch":"7","revision":"7"}',
  ])('without a revision and an epoch is none: %s', (text) => {
    expect(readNotice(text)).toBeUndefined();
  });
});

describe('an acknowledgement', () => {
  test('is read as it was written', () => {
    const acknowledgement = {
      replica: REPLICA,
      epoch: EPOCH,
      revision: 9_223_372_036_854_775_807n,
      clients: [],
    };
    expect(readAcknowledgement(writeAcknowledgement(acknowledgement))).toEqual(acknowledgement);
    const clients = [{ revision: 7n, acknowledged: 2, expired: 1 }];
    const told = { ...acknowledgement, clients };
    expect(readAcknowledgement(writeAcknowledgement(told))).toEqual(told);
  });

  test('of a version without clients is read, and written as that version reads it where there are none', () => {
    const text = JSON.stringify({ replica: REPLICA, epoch: EPOCH, revision: '1' });
    expect(readAcknowledgement(text)).toMatchObject({ revision: 1n, clients: [] });
    expect(writeAcknowledgement({ replica: REPLICA, epoch: EPOCH, revision: 1n, clients: [] })).toBe(text);
  });

  test.each([
    ...['', '{}', `{"replica":"${REPLICA}","revision":"1"}`],
    `{"replica":"x","epoch":"${EPOCH}","revision":"1"}`,
    `{"replica":"${REPLICA}","epoch":"${EPOCH}","revision":1}`,
  ])('is ignored where it is none: %s', (text) => {
    expect(readAcknowledgement(text)).toBeUndefined();
  });
});
