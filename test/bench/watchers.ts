import { once } from 'node:events';
import http2 from 'node:http2';
import { messageOf } from './http2-frames.js';
import type { ServerProcess } from './processes.js';
import { plaintextOf } from './tokens.js';

const WATCH = '/keyward.token.v1.TokenService/WatchTokens';
/** As many as the service takes over one connection. */
const A_CONNECTION = 100;

/** holdWatchers begins watches of tokens that go on until they are closed. */
export async function holdWatchers({ port }: ServerProcess, count: number): Promise<{ close(): void }> {
  const sessions: http2.ClientHttp2Session[] = [];
  for (let begun = 0; begun < count; begun += 1) {
    if (begun % A_CONNECTION === 0) sessions.push(http2.connect(`http://127.0.0.1:${port}`));
    const call = sessions.at(-1)?.request({
      ':method': 'POST',
      ':path': WATCH,
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${plaintextOf(0)}`,
    });
    if (call === undefined) throw new Error('a watcher without a connection');
    call.end(messageOf(new Uint8Array()));
    await once(call, 'data');
    // What silence is broken with is taken too.
    call.resume();
  }
  return {
    close: () => {
      for (const session of sessions) session.destroy();
    },
  };
}
