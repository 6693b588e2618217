import { setFlagsFromString } from 'node:v8';
import type { Server } from '@grpc/grpc-js';
import type { Logger } from '../telemetry/logger.js';
import { listeningServers, streamStateOf } from './library.js';
import { StreamTable } from './stream-table.js';

/**
 * keepStreamsYoung lets streams that have ended be collected with the young generation; otherwise many survive until
 * the next full collection, which costs a fifth to a third of each call and most of its slowest percentile
 * (docs/performance.md). It has to look into grpc-js and Node, and changes nothing where they are not as expected: then it
 * says so, once.
 */
export function keepStreamsYoung(server: Server, logger: Pick<Logger, 'warn'>): YoungStreams {
  // V8 would take what survives in the small heap of the beginning for long-lived, and allocate it as old from then on.
  setFlagsFromString('--no-allocation-site-pretenuring');
  const listening = listeningServers(server);
  const young = { areKept: true };
  const giveUp = (): void => {
    if (!young.areKept) return;
    young.areKept = false;
    logger.warn('ended streams stay in memory longer: this version of Node or grpc-js is not as expected');
  };
  if (listening.length === 0) giveUp();
  for (const each of listening) {
    each.on('session', (session: object) => {
      if (!replaceTable(session)) giveUp();
    });
  }
  return young;
}

/** YoungStreams tells whether the streams of all connections so far are collected young. */
export interface YoungStreams {
  readonly areKept: boolean;
}

/**
 * replaceTable gives a new session another table of its open streams. Node's is a Map. When V8 replaces the storage of a
 * Map, the old one refers to the new one; once an old one has come to the old generation, it keeps all that follow
 * from being collected, with the streams in them. Returns whether it was as expected.
 */
export function replaceTable(session: object): boolean {
  const state = streamStateOf(session);
  if (state === undefined || Reflect.get(state.streams, 'size') !== 0) return false;
  state.streams = new StreamTable<unknown>();
  return true;
}
