import { createServer } from 'node:http2';
import { getHeapSpaceStatistics } from 'node:v8';
import { keepStreamsYoung } from '../../dist/rpc/young-streams.js';

/**
 * An HTTP/2 server in a process of its own, with streams kept young if the argument says so. To any message it answers how many
 * bytes of garbage two collections of the young generation have left, and collects all of it.
 */
const server = createServer();
server.on('stream', (stream) => {
  stream.on('error', () => undefined);
  stream.respond({ ':status': 200 });
  stream.resume();
  stream.end('answer');
});
if (process.argv[2] === 'young') {
  keepStreamsYoung(
    { http2Servers: new Map([[server, undefined]]) },
    { warn: (text) => process.stderr.write(text) },
  );
}
/** usedBytes is what the ordinary objects take, which streams are made of. */
function usedBytes() {
  return getHeapSpaceStatistics()
    .filter(({ space_name: name }) => name === 'old_space' || name === 'new_space')
    .reduce((sum, { space_used_size: bytes }) => sum + bytes, 0);
}

process.on('message', () => {
  gc({ type: 'minor' });
  gc({ type: 'minor' });
  const used = usedBytes();
  gc();
  process.send(used - usedBytes());
});
server.listen(0, '127.0.0.1', () => process.send(server.address().port));
