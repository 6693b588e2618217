import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { jsonChildren } from '../../../src/smarter/json-text.js';
import {
  annotationsOf,
  storableText,
  tagsOfJson,
  timeOf,
  uniqueTags,
  uuidOf,
} from '../../../src/smarter/normalise.js';

function gather<T>(run: (finding: (sort: string, what: string) => void) => T): {
  result: T;
  findings: string[];
} {
  const findings: string[] = [];
  const result = run((sort) => findings.push(sort));
  return { result, findings };
}

describe('annotations', () => {
  test.each([
    [null, {}],
    ['[]', {}],
    ['null', {}],
    ['[{"a": "1"}, {"b": "2"}]', { a: '1', b: '2' }],
    ['[{"a": "1", "b": "2"}, {"c": "3"}]', { a: '1', b: '2', c: '3' }],
    ['{"n": 1, "legacy": "object"}', { n: '1', legacy: 'object' }],
    ['[{"t": true}, {"x": null}, {"e": ""}, {}]', { t: 'true', x: 'null', e: '' }],
    ['[{"n": {"a" : "x", "b": [1, 2, {"c": "d e"}]}}]', { n: '{"a":"x","b":[1,2,{"c":"d e"}]}' }],
    [
      '[{"big": 123456789012345678901234567890.10, "e": 1E400}]',
      { big: '123456789012345678901234567890.10', e: '1E400' },
    ],
    ['[{"a": "say \\"x\\", [y]: {z}\\\\"}]', { a: 'say "x", [y]: {z}\\' }],
    ['[{"u": ["\\u00e9"], "v": "\\u00e9"}]', { u: '["é"]', v: 'é' }],
  ])('%s becomes a map of texts', (json, map) => {
    const { result, findings } = gather((finding) => annotationsOf(json, finding));
    expect(result).toEqual(map);
    expect(findings).toEqual([]);
  });

  test('of repeated keys all values are kept as a list, and each key is reported once', () => {
    const json = '[{"a": "1"}, {"a": 2.50, "a": ["x", null]}, {"b": "y"}, {"a": "1"}]';
    expect(gather((finding) => annotationsOf(json, finding))).toEqual({
      result: { a: '[ "1", 2.50, ["x",null], "1" ]', b: 'y' },
      findings: ['annotation-repeated'],
    });
  });

  test('a list of values is told from a value that is a list, and from a text that looks like either', () => {
    const valuesOf = (json: string) => gather((finding) => annotationsOf(json, finding)).result['a'];
    expect(valuesOf('[{"a": "1"}, {"a": "2"}]')).toBe('[ "1", "2" ]');
    expect(valuesOf('[{"a": ["1", "2"]}]')).toBe('["1","2"]');
    expect(valuesOf('[{"a": "[1]"}]')).toBe('[1]');
    expect(valuesOf('[{"a": "[ no list"}]')).toBe('[ no list');
    expect(valuesOf(String.raw`[{"a": "[ \"1\", \"2\" ]"}]`)).toBe(String.raw`[ "[ \"1\", \"2\" ]" ]`);
  });

  test('any values of one key can be read back from the list', () => {
    fc.assert(
      fc.property(fc.array(fc.jsonValue(), { minLength: 2 }), (values) => {
        const json = JSON.stringify(values.map((value) => ({ a: value })));
        const { result } = gather((finding) => annotationsOf(json, finding));
        expect(result['a']).toMatch(/^\[ /);
        expect(JSON.stringify(JSON.parse(String(result['a'])))).toBe(JSON.stringify(values));
      }),
    );
  });

  test('what has no key is kept under its position, and reported', () => {
    expect(gather((finding) => annotationsOf('["x", {"a": "1"}, [2, 3]]', finding))).toEqual({
      result: { '#1': 'x', a: '1', '#3': '[2,3]' },
      findings: ['annotation-without-key', 'annotation-without-key'],
    });
    expect(gather((finding) => annotationsOf('{broken', finding))).toEqual({
      result: { '#1': '{broken' },
      findings: ['not-json'],
    });
  });

  test('keys that mean something to JavaScript are ordinary keys', () => {
    const { result } = gather((finding) =>
      annotationsOf('[{"__proto__": "x", "2": "b", "1": "a"}]', finding),
    );
    expect(JSON.stringify(result)).toBe('{"1":"a","2":"b","__proto__":"x"}');
  });

  test('what PostgreSQL cannot store is removed and reported', () => {
    expect(gather((finding) => annotationsOf('[{"a\\u0000": "\\ud800x"}]', finding))).toEqual({
      result: { a: 'x' },
      findings: ['characters-removed', 'characters-removed'],
    });
  });

  test('any map of texts survives being written as a list of one-key objects', () => {
    const text = fc.string({ unit: 'grapheme' }).map((value) => storableText('', value, () => undefined));
    fc.assert(
      fc.property(fc.dictionary(text, text, { noNullPrototype: true }), (map) => {
        const list = Object.entries(map).map(([key, value]) => Object.fromEntries([[key, value]]));
        const { result } = gather((finding) => annotationsOf(JSON.stringify(list, undefined, 2), finding));
        expect(result).toEqual(map);
      }),
    );
  });
});

test('taking a level off any JSON and putting it back gives the same JSON', () => {
  fc.assert(
    fc.property(fc.array(fc.jsonValue()), fc.dictionary(fc.string(), fc.jsonValue()), (list, object) => {
      const elements = jsonChildren(JSON.stringify(list, undefined, 1)).map(({ json }) => json);
      expect(`[${elements.join()}]`).toBe(JSON.stringify(list));
      const members = jsonChildren(JSON.stringify(object, undefined, 1));
      expect(`{${members.map(({ key, json }) => `${JSON.stringify(key)}:${json}`).join()}}`).toBe(
        JSON.stringify(object),
      );
    }),
  );
});

test('tags keep their order and lose repetitions', () => {
  expect(gather((finding) => tagsOfJson('["b", "a", "b", 5, {"x": 1.0}, null]', finding))).toEqual({
    result: ['b', 'a', '5', '{"x":1.0}', 'null'],
    findings: ['tag-repeated'],
  });
  expect(gather((finding) => tagsOfJson('"one"', finding))).toEqual({
    result: ['one'],
    findings: ['tags-not-a-list'],
  });
  expect(gather((finding) => uniqueTags(['A', 'a', 'é', 'e'], finding))).toEqual({
    result: ['A', 'a', 'é', 'e'],
    findings: [],
  });
});

test('times keep their microseconds', () => {
  expect(timeOf('2025-09-22 00:24:45.865669+00')).toBe('2025-09-22T00:24:45.865669Z');
  expect(timeOf('2025-09-22 05:24:45.8+05')).toBe('2025-09-22T00:24:45.800000Z');
  expect(timeOf('9999-12-31 23:59:59.999999+00')).toBe('9999-12-31T23:59:59.999999Z');
  expect(timeOf('0000-00-00 00:00:00.000000+00')).toBe('0001-01-01T00:00:00.000000Z');
  expect(timeOf('infinity')).toBe('9999-12-31T23:59:59.999999Z');
  expect(timeOf(null)).toBeNull();
});

test('key ids may lack their hyphens', () => {
  expect(uuidOf('519b134b417948efb65cd2bbd9c5817b')).toBe('519b134b-4179-48ef-b65c-d2bbd9c5817b');
  expect(uuidOf('519B134B-4179-48ef-b65c-d2bbd9c5817b')).toBe('519b134b-4179-48ef-b65c-d2bbd9c5817b');
  expect(uuidOf('519b134b')).toBeUndefined();
});
