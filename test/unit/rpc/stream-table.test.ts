import { expect, test } from 'vitest';
import { StreamTable } from '../../../src/rpc/stream-table.js';
import { Random } from '../../support/random.js';

/** A table that holds few of many numbers, as that of a connection on which calls come and go. */
test('a stream table is a Map by ascending numbers, whatever comes and goes', () => {
  const random = new Random(7);
  const table = new StreamTable<string>();
  const map = new Map<number, string>();
  for (let id = 1; id < 20_000; id += 2) {
    expect(table.set(id, `stream ${id}`)).toBe(table);
    map.set(id, `stream ${id}`);
    while (map.size > 12 || random.chance(0.4)) {
      const ended = random.chance(0.9) ? random.pick([...map.keys(), id]) : random.below(id);
      expect(table.delete(ended)).toBe(map.delete(ended));
      expect([table.has(ended), table.get(ended)]).toEqual([false, undefined]);
    }
    const known = random.pick([...map.keys(), id]);
    expect([table.has(known), table.get(known)]).toEqual([map.has(known), map.get(known)]);
    if (random.chance(0.01)) {
      expect(table.set(id, 'again').get(id)).toBe('again');
      map.set(id, 'again');
    }
    if (random.chance(0.001)) {
      table.clear();
      map.clear();
    }
    expect(table.size).toBe(map.size);
    if (id % 99 === 1) {
      expect([...table]).toEqual([...map]);
      expect([[...table.keys()], [...table.values()]]).toEqual([[...map.keys()], [...map.values()]]);
    }
  }
  const visited: unknown[] = [];
  table.forEach((stream, id, visiting) => visited.push([id, stream, visiting === table]));
  expect(visited).toEqual([...map].map(([id, stream]) => [id, stream, true]));
});

test('what a visit removes is not visited twice, and does not end the visit', () => {
  const table = new StreamTable<string>();
  for (const id of [1, 3, 5]) table.set(id, `stream ${id}`);
  const visited: number[] = [];
  table.forEach((_stream, id) => {
    visited.push(id);
    table.delete(id);
  });
  expect([visited, table.size]).toEqual([[1, 3, 5], 0]);
});
