import { setFlagsFromString } from 'node:v8';
import type { Server } from '@grpc/grpc-js';
import { listeningServers, streamStateOf } from './library.js';
import { StreamTable } from './stream-table.js';

/**
 * keepStreamsYoung lets streams that have ended be collected with the young generation; otherwise many survive until
 * the next full collection, which costs a fifth to a third of each call and most of its slowest percentile
 * (docs/performance.md). It has to look into grpc-js and Node, and changes nothing where they are not as expected.
 * Returns how many listening sockets it found.
 */
export function keepStreamsYoung(server: Server): number {
  // V8 would take what survives in the small heap of the beginning for long-lived, and allocate it as old from then on.
  setFlagsFromString('--no-allocation-site-pretenuring');
  const listening = listeningServers(server);
  for (const each of listening) each.on('session', replaceTable);
  return listening.length;
}

/**
 * replaceTable gives a new session another table of its open streams. Node's is a Map. When V8 replaces the storage of a
 * Map, the old one refers to the new one; once an old one has come to the old generation, it keeps all that follow
 * from being collected, with the streams in them.
 */
export function replaceTable(session: object): void {
  const state = streamStateOf(session);
  if (state !== undefined && Reflect.get(state.streams, 'size') === 0)
    state.streams = new StreamTable<unknown>();
}
