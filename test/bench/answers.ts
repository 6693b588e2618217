import assert from 'node:assert/strict';
import { status } from '@grpc/grpc-js';
import { connect } from '../../src/client/index.js';
import { VerdictReason } from '../../src/gen/keyward/token/v1/token.js';
import { expectedResponse, plaintextOf } from './tokens.js';

/** checkAnswers asks with the service's own client, which sees the status of a call, where the loads see messages alone. */
export async function checkAnswers(port: number, tokens: number): Promise<void> {
  const server = `127.0.0.1:${port}`;
  const client = connect({ server, token: plaintextOf(0) });
  const stranger = connect({ server, token: 'nobody' });
  try {
    for (const token of [0, 1, Math.floor(tokens / 2), tokens - 1]) {
      for (const source of ['the database', 'memory']) {
        const response = await client.tokens.validateToken({ token: plaintextOf(token) });
        assert.deepEqual(response, expectedResponse(token), `token ${token} from ${source}`);
      }
    }
    const { valid, reason } = await client.tokens.validateToken({ token: plaintextOf(-1) });
    assert.deepEqual({ valid, reason }, { valid: false, reason: VerdictReason.VERDICT_REASON_UNKNOWN });
    const { responses } = await client.tokens.batchValidateTokens({
      requests: [{ token: plaintextOf(1) }, { token: 'nobody' }],
    });
    assert.deepEqual(
      responses.map((response) => response.valid),
      [true, false],
    );
    await assert.rejects(stranger.tokens.validateToken({ token: plaintextOf(1) }), {
      code: status.UNAUTHENTICATED,
    });
  } finally {
    client.close();
    stranger.close();
  }
}
