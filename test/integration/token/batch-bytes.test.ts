import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { BatchValidateTokensResponse, type KeywardCallError } from '../../../src/client/index.js';
import { MAX_PAGE } from '../../../src/lib/page-size.js';
import { execute } from '../../support/sql.js';
import { World, type Issued } from '../../support/world.js';

/** At level trace every call goes through the whole chain; at info those that memory can answer do not. */
describe.each(['info', 'trace'])('a batch of validations, with log level %s', (level) => {
  let world: World;
  let large: Issued;

  beforeAll(async () => {
    world = await World.create({ KEYWARD_LOG_LEVEL: level });
    // As many and as long as may be: 8 KiB of scopes.
    const scopes = Array.from({ length: 64 }, (_, index) => `${index}:`.padEnd(128, 'x'));
    large = await world.issue('owner-a', { scopes });
  });

  afterAll(() => world.close());

  const batch = (count: number) =>
    world.admin.tokens.batchValidateTokens({
      requests: Array.from({ length: count }, () => ({ token: large.plaintext })),
    });

  async function usedAt(): Promise<unknown> {
    await execute(world.database.url, 'SELECT 1');
    const [row] = await execute(world.database.url, 'SELECT last_used_at FROM tokens WHERE id = $1', [
      large.id,
    ]);
    return row?.['last_used_at'];
  }

  test('is refused whole where its answers take more than 3 MiB, with the number that would fit', async () => {
    for (const _ of ['cold', 'warm']) {
      const error = (await batch(1000).catch((failure: unknown) => failure)) as KeywardCallError;
      expect(error).toMatchObject({ reason: 'ANSWERS_TOO_LARGE' });
      const fitting = Number(error.metadata.get('fitting'));
      expect(fitting).toBeGreaterThan(300);
      await expect(batch(fitting + 1)).rejects.toMatchObject({ reason: 'ANSWERS_TOO_LARGE' });
      if (level === 'info') expect(await usedAt()).toBeNull();
    }
    const error = (await batch(1000).catch((failure: unknown) => failure)) as KeywardCallError;
    const { responses } = await batch(Number(error.metadata.get('fitting')));
    expect(responses.every(({ valid }) => valid)).toBe(true);
    const bytes = BatchValidateTokensResponse.encode({ responses }).finish().length;
    expect(bytes).toBeLessThanOrEqual(MAX_PAGE);
    expect(bytes).toBeGreaterThan(MAX_PAGE - 100_000);
  });

  test('of a thousand usual tokens is answered, and of as many texts as long as a token may be', async () => {
    const { plaintext } = await world.issue('owner-a');
    const requests = Array.from({ length: 1000 }, () => ({ token: plaintext }));
    const { responses } = await world.admin.tokens.batchValidateTokens({ requests });
    expect(responses.every(({ valid }) => valid)).toBe(true);
    const long = Array.from({ length: 1000 }, (_, index) => ({ token: `${index}`.padEnd(1024, 'é') }));
    expect((await world.admin.tokens.batchValidateTokens({ requests: long })).responses).toHaveLength(1000);
  });
});
