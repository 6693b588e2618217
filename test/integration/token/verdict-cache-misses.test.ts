import pg from 'pg';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { framed, RawHttp2, type RawAnswer } from '../../support/raw-http2.js';
import { encodeRequest, pathOf } from '../../support/rpc.js';
import { World } from '../../support/world.js';

/** A connection takes 100 calls at once; the last of them tells that the others have arrived. */
const MISSES_A_CONNECTION = 99;
const CONNECTIONS = 11;

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

test('1000 simultaneous misses on one key make one query', async () => {
  const { plaintext } = await world.issue('staff-a');
  const caller = world.tokenOf('staff-a');
  await world.as('staff-a').tokens.validateToken({ token: caller });
  const port = Number(world.server.address.split(':')[1]);
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => RawHttp2.open(port)));
  const validate = (connection: RawHttp2, token: string): Promise<RawAnswer> => {
    const headers = { authorization: `Bearer ${caller}` };
    return connection.call(
      pathOf('validateToken'),
      framed(encodeRequest('validateToken', { token })),
      headers,
      20_000,
    );
  };
  const queries = vi.spyOn(pg.Client.prototype, 'query');
  const holder = new pg.Client({ connectionString: world.database.url });
  await holder.connect();
  try {
    await holder.query('BEGIN');
    await holder.query('LOCK TABLE token_digests IN ACCESS EXCLUSIVE MODE');
    const misses = connections.flatMap((connection) =>
      Array.from({ length: MISSES_A_CONNECTION }, () => validate(connection, plaintext)),
    );
    // The caller's own token is in memory, so these are answered while the others wait for the database.
    const arrivals = await Promise.all(connections.map((connection) => validate(connection, caller)));
    await holder.query('COMMIT');
    const answers = [...(await Promise.all(misses)), ...arrivals];
    expect(answers.filter(({ code }) => code === 'OK')).toHaveLength((MISSES_A_CONNECTION + 1) * CONNECTIONS);
    expect(queries.mock.calls.filter(isVerdictQuery)).toHaveLength(1);
  } finally {
    await holder.end();
    queries.mockRestore();
    for (const connection of connections) connection.close();
  }
});

function isVerdictQuery([query]: readonly unknown[]): boolean {
  return (
    typeof query === 'object' &&
    query !== null &&
    'name' in query &&
    String(query.name).startsWith('verdict-')
  );
}
