import { expect, test } from 'vitest';
import { AccessReader } from '../../../../src/secret/access/access-reader.js';
import type { AccessQuery } from '../../../../src/secret/access/access-repository.js';
import type { AccessFacts } from '../../../../src/secret/access/access.js';

interface Statement {
  readonly queries: readonly AccessQuery[];
  readonly answer: () => void;
  readonly fail: () => void;
}

/** Each statement is answered when the test says so, with the user's number as its facts. */
function controlled() {
  const statements: Statement[] = [];
  const facts = (queries: readonly AccessQuery[]) =>
    new Promise<AccessFacts[]>((resolve, reject) => {
      statements.push({
        queries,
        answer: () => {
          resolve(queries.map(factsOf));
        },
        fail: () => {
          reject(new Error('no database'));
        },
      });
    });
  return { statements, reader: new AccessReader({ facts }) };
}

function factsOf({ userId }: AccessQuery): AccessFacts {
  const callerRights = { userId, isStaff: false, isSuperuser: false, profiles: [] };
  return { callerRights, secret: undefined, version: undefined };
}

function query(userId: bigint): AccessQuery {
  return { userId, ref: { by: 'id', id: 1n }, version: null };
}

async function users(facts: readonly Promise<AccessFacts>[]): Promise<(bigint | undefined)[]> {
  return (await Promise.all(facts)).map(({ callerRights }) => callerRights?.userId);
}

test('who asks while a statement is under way is answered by a later one, each with what is theirs', async () => {
  const { statements, reader } = controlled();
  const first = reader.one(query(1n));
  await expect.poll(() => statements.length).toBe(1);
  const later = [2n, 3n, 4n].map((userId) => reader.one(query(userId)));
  statements[0]?.answer();
  await expect.poll(() => statements.length).toBe(2);
  statements[1]?.answer();
  expect(await users([first])).toEqual([1n]);
  expect(await users(later)).toEqual([2n, 3n, 4n]);
  expect(statements[1]?.queries.map(({ userId }) => userId)).toEqual([2n, 3n, 4n]);
});

test('a statement that fails fails those it was for, and no later ones', async () => {
  const { statements, reader } = controlled();
  const first = reader.one(query(1n)).catch((error: unknown) => String(error));
  await expect.poll(() => statements.length).toBe(1);
  const later = reader.one(query(2n));
  statements[0]?.fail();
  expect(await first).toContain('no database');
  await expect.poll(() => statements.length).toBe(2);
  statements[1]?.answer();
  expect(await users([later])).toEqual([2n]);
});

test('a batch is a statement of its own', async () => {
  const { statements, reader } = controlled();
  const facts = reader.many([query(1n), query(2n)]);
  statements[0]?.answer();
  expect((await facts).map(({ callerRights }) => callerRights?.userId)).toEqual([1n, 2n]);
  expect(await reader.many([])).toEqual([]);
  expect(statements).toHaveLength(1);
});
