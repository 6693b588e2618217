import { PassThrough } from 'node:stream';
import { afterAll, afterEach, beforeAll, beforeEach, expect, onTestFinished, test, vi } from 'vitest';
import { TokenEventType, VerdictReason, type KeywardClient } from '../../../src/client/index.js';
import { lockDigests } from '../../support/lock-digests.js';
import type { RequestOf } from '../../support/rpc.js';
import { Watching } from '../../support/watching.js';
import { World } from '../../support/world.js';

const HOUR = 3_600_000;
const STEPS = [
  ['an hour on', HOUR],
  ['a month on', 720 * HOUR],
  ['an hour back', -HOUR],
  ['a month back', -720 * HOUR],
] as const;
const { VERDICT_REASON_OK } = VerdictReason;

let world: World;
let step: number;

beforeAll(async () => {
  world = await World.create();
});

beforeEach(() => {
  step = 0;
  const real = Date.now.bind(Date);
  // The service is in this process too, so that it is set for both ends, and for the library.
  vi.spyOn(Date, 'now').mockImplementation(() => real() + step);
});

afterEach(() => {
  vi.restoreAllMocks();
});

afterAll(() => world.close());

/** converse asks with one token after another on one stream. */
function converse(client: KeywardClient) {
  const asked = new PassThrough({ objectMode: true });
  onTestFinished(() => void asked.destroy());
  const answers = client.tokens.streamValidateTokens(asked)[Symbol.asyncIterator]();
  return async (token: string) => {
    const answer = answers.next();
    asked.write({ token } satisfies RequestOf<'streamValidateTokens'>);
    const next = await answer;
    return next.done === true ? undefined : next.value.reason;
  };
}

test.each(STEPS)('when the wall clock is set %s, calls and streams under way go on', async (_, by) => {
  const client = world.as('staff-a');
  const known = world.tokenOf('staff-a');
  const { plaintext } = await world.issue('staff-a');
  const watching = await Watching.begin(client.tokens.watchTokens({}));
  onTestFinished(() => watching.close());
  // A clock that goes on, as after the case before, may mean that the machine was suspended: the lease is over until renewed.
  await expect.poll(() => world.server.metric('keyward_coherence_lease_held')).toBe(1);
  const ask = converse(client);
  expect(await ask(known)).toBe(VERDICT_REASON_OK);
  const unlock = await lockDigests(world.database.url);
  const underWay = client.tokens.validateToken({ token: plaintext });
  await expect.poll(() => world.server.metric('keyward_calls_under_way')).toBe(1);
  const connections = await world.server.metric('keyward_connections_accepted_total');

  step = by;
  await unlock();

  expect(await underWay).toMatchObject({ reason: VERDICT_REASON_OK });
  expect(await client.tokens.validateToken({ token: known })).toMatchObject({ reason: VERDICT_REASON_OK });
  expect(await ask(known)).toBe(VERDICT_REASON_OK);
  const { id } = await world.issue('staff-a');
  const isTold = ({ type, tokenId }: { type: TokenEventType; tokenId: bigint }) =>
    type === TokenEventType.TOKEN_EVENT_TYPE_CREATED && tokenId === id;
  expect((await watching.until(isTold)).some(isTold)).toBe(true);
  expect(await world.server.metric('keyward_connections_accepted_total')).toBe(connections);
});
