import { EventEmitter } from 'node:events';
import { setFlagsFromString } from 'node:v8';
import type { Server } from '@grpc/grpc-js';
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
  const state = Object.getOwnPropertySymbols(session)
    .filter(({ description }) => description === 'state')
    .map((symbol): unknown => Reflect.get(session, symbol))
    .find(hasEmptyTable);
  if (state !== undefined) state.streams = new StreamTable<unknown>();
}

function listeningServers(server: Server): EventEmitter[] {
  const servers: unknown = Reflect.get(server, 'http2Servers');
  if (!(servers instanceof Map)) return [];
  return [...(servers as Map<unknown, unknown>).keys()].filter(
    (each): each is EventEmitter => each instanceof EventEmitter,
  );
}

function hasEmptyTable(state: unknown): state is { streams: unknown } {
  if (typeof state !== 'object' || state === null || !('streams' in state)) return false;
  const { streams } = state;
  // Not an instance of Map: Node keeps its own from what programs do to that class.
  return typeof streams === 'object' && streams !== null && 'size' in streams && streams.size === 0;
}
