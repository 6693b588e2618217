import { constants, type ServerHttp2Stream } from 'node:http2';
import type { handleBidiStreamingCall } from '@grpc/grpc-js';
import {
  callerOf,
  compose,
  reauthorize,
  requireWellFormed,
  toCall,
  type ChainDependencies,
} from './chain.js';
import { overloaded } from '../lib/errors.js';
import type { CallerLimits } from './caller-limits.js';
import { Dialogue } from './dialogue.js';
import { toKeywardError, toStatus } from './error-status.js';
import type { Work } from './front-door/load-limit.js';
import type { DialogueHandler } from './handlers.js';
import { streamOf } from './library.js';

/** How long a client that does not read has to take the status that its stream ended in. */
const FAREWELL_MS = 1_000;
/** What is asked for within a dialogue takes about so much until the database has answered. */
const BYTES_OF_A_PART = 3 * 1024;

/** dialogueChain makes the library's handler of a method whose messages are no questions and answers. */
export function dialogueChain<Request>(
  dependencies: ChainDependencies,
  path: string,
  method: DialogueHandler<Request>,
): handleBidiStreamingCall<Request, Buffer> {
  const first = compose(dependencies, method, async (call) => {
    if (call.bidirectional === undefined) throw new Error('a dialogue reached its handler without a stream');
    const fault = call.admission?.fault?.signal;
    const interruptions = fault === undefined ? [dependencies.stopping] : [dependencies.stopping, fault];
    const gone = new AbortController();
    call.bidirectional.on('cancelled', () => {
      gone.abort();
    });
    const { userId } = callerOf(call);
    const live = {
      reauthorize: () => reauthorize(dependencies, call, method),
      gone: gone.signal,
      begin: (weight: number) => begin(dependencies.limits, userId, weight, call.admission?.work),
    };
    const dialogue = new WellFormed<Request>(call.bidirectional, interruptions);
    call.isCancelled = (await method.converse(dialogue, callerOf(call), live)) === 'cancelled';
  });
  return (stream) => {
    const call = toCall(path, stream);
    first({ ...call, bidirectional: stream }).then(
      () => {
        stream.end();
      },
      (error: unknown) => {
        stream.emit('error', toStatus(toKeywardError(error, '')));
        // What waits to be sent would be kept for as long as the client does not read.
        const http2Stream = streamOf(stream) as ServerHttp2Stream | undefined;
        setTimeout(() => http2Stream?.close(constants.NGHTTP2_CANCEL), FAREWELL_MS).unref();
      },
    );
  };
}

/** begin counts a part of a dialogue for its user as a call, and for the process by what it takes. */
function begin(limits: CallerLimits, userId: bigint, weight: number, work: Work | undefined): () => void {
  const endCall = limits.beginCall(userId, weight);
  if (work === undefined) return endCall;
  const giveBack = work.take(BYTES_OF_A_PART);
  if (giveBack === undefined) {
    endCall();
    throw overloaded();
  }
  return () => {
    endCall();
    giveBack();
  };
}

/** WellFormed ends with the first message that cannot be read. */
class WellFormed<Request> extends Dialogue<Request> {
  override hold(receive: (request: Request) => void, ended: () => void): Promise<'ended' | 'cancelled'> {
    const receiveWellFormed = (request: Request): void => {
      requireWellFormed(request);
      receive(request);
    };
    return super.hold(receiveWellFormed, ended);
  }
}
