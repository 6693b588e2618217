import { randomUUID } from 'node:crypto';
import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import type { Server } from '@grpc/grpc-js';
import {
  databaseUnavailable,
  type KeywardError,
  openCallsTooLarge,
  requestTimeout,
  tooManyConnections,
} from '../../lib/errors.js';
import type { ConnectionCounts, ConnectionUse, WorkUse } from '../../telemetry/connection-metrics.js';
import type { Authenticated, AuthenticationLog, Authenticator } from '../authenticator.js';
import { callEnded, type CallLog } from '../call-log.js';
import { toKeywardError, toStatus } from '../error-status.js';
import { listeningServers, takeStreams, type StreamListener } from '../library.js';
import type { MethodRules } from './method-rules.js';
import { deadlineOf } from './deadline.js';
import { BodyBudget, type CallerShare } from './body-budget.js';
import { LimitedShare, type Share } from './collected-bytes.js';
import { MAX_OPEN_CALLS, type Connection } from './connection.js';
import { Connections } from './connections.js';
import type { ConnectionLimits } from './connection-limits.js';
import { FastLane } from './fast-lane.js';
import { discardBody, ignore } from './guarded-stream.js';
import { RequestBody, type BodyKeeper } from './request-body.js';
import { closeAnswered, sendStatus } from './response.js';
import { Turns } from './turns.js';
import { MAX_CALLS, MAX_STREAMS, LoadLimit } from './load-limit.js';

export interface FrontDoorDependencies extends CallLog {
  readonly methods: MethodRules;
  readonly authenticator: Authenticator;
  readonly authentications: Pick<AuthenticationLog, 'failed'>;
  readonly limits: ConnectionLimits;
  readonly counts: ConnectionCounts;
}

/** Calls on connections where nobody is known yet that may wait for the database. Each takes some ten kilobytes. */
const MAX_WAITING_STRANGERS = 1000;
/** What a stream without an end to an open method counts for, beside its headers. */
const BYTES_OF_A_LASTING_CALL = 8 * 1024;
/** Calls that the library may have before their message has come. Nearly all messages come with their headers. */
const MAX_EMPTY_CALLS = 200;
/** Of a connection that has ended already. */
const NO_SHARE = new LimitedShare(0);

/**
 * FrontDoor is where a call enters: before the library reads anything of it. It judges the credentials by the headers, keeps
 * the body within the method's limit and its time, and gives the library whole messages only.
 */
export class FrontDoor implements BodyKeeper {
  readonly lane = new FastLane();
  readonly #dependencies: FrontDoorDependencies;
  readonly #connections: Connections;
  readonly #budget = new BodyBudget();
  readonly #turns: Turns<Connection>;
  readonly #work = new LoadLimit(MAX_CALLS);
  readonly #streams = new LoadLimit(MAX_STREAMS);
  #waitingStrangers = 0;
  #emptyCalls = 0;
  #library: StreamListener = () => undefined;

  constructor(dependencies: FrontDoorDependencies) {
    this.#dependencies = dependencies;
    const { limits, counts } = dependencies;
    this.#connections = new Connections({
      limits,
      counts,
      onInterval: () => {
        this.#budget.forgetIdle();
      },
      onSession: (connection) => {
        this.#turns.opened(connection);
      },
      onEnd: (connection) => {
        this.#turns.left(connection);
      },
      onOverdue: (body) => {
        body.fail(requestTimeout(limits.requestSeconds));
      },
    });
    this.#turns = new Turns({ connections: () => this.#connections.all });
  }

  /** guard lets nobody into a listening server but through this door. Throws if the library is not as expected. */
  guard(server: Server): void {
    const listening = listeningServers(server);
    if (listening.length === 0) throw new Error('this version of @grpc/grpc-js keeps its sockets elsewhere');
    for (const each of listening) {
      takeStreams(each, (library) => {
        this.#library = library;
        return (stream, headers, flags, rawHeaders) => {
          this.#arrived(stream, headers, flags, rawHeaders);
        };
      });
      this.#connections.guard(each);
    }
    this.#turns.start();
  }

  /** leave is for when the library stops: whoever has no call under way, or does not take the end of a stream, is cut off. */
  leave(): void {
    this.#connections.leave();
  }

  /** stop ends what is left of connections; call it when the library has stopped. */
  stop(): Promise<void> {
    this.#turns.stop();
    return this.#connections.stop();
  }

  get connections(): ConnectionUse {
    return this.#connections.use;
  }

  get work(): WorkUse {
    const { calls, bytes } = this.#work;
    return { calls, bytes, waiting: this.#turns.waiting };
  }

  get interval(): number {
    return this.#connections.interval;
  }

  mayEnterEmpty(): boolean {
    if (this.#emptyCalls >= MAX_EMPTY_CALLS) return false;
    this.#emptyCalls += 1;
    return true;
  }

  messageCame(): void {
    this.#emptyCalls -= 1;
  }

  shareOf({ stream, userId }: RequestBody): Share | CallerShare {
    if (userId !== undefined) return this.#budget.of(userId);
    return this.#connections.of(stream.session)?.openShare ?? NO_SHARE;
  }

  mayWork(body: RequestBody, bytes: number): boolean {
    const { stream, rule } = body;
    if (rule.isOpen) return true;
    const counted = bytes * rule.expansion;
    if (body.work !== undefined) return body.work.reach(counted);
    body.work = (rule.lasts ? this.#streams : this.#work).begin(counted);
    if (body.work !== undefined) stream.once('close', body.work.hold());
    return body.work !== undefined;
  }

  enter({ stream, headers, flags, rawHeaders, deadline }: RequestBody): void {
    if (deadline !== undefined) headers['grpc-timeout'] = deadline.toHeader();
    this.#library(stream, headers, flags, rawHeaders);
  }

  refused({ stream, rule, judging }: RequestBody, error: KeywardError, isTalking: boolean): void {
    const connection = this.#connections.of(stream.session);
    if (!isTalking) {
      const { requestId, startedAt } = judging ?? { requestId: randomUUID(), startedAt: performance.now() };
      const told = { path: rule.path, requestId, peer: connection?.peer ?? 'unknown' };
      callEnded(this.#dependencies, told, startedAt, error);
      const answer = rule.answerFailure?.(error);
      if (answer === undefined) sendStatus(stream, toStatus(error));
      else this.lane.answers.send(stream, answer);
    }
    if (connection === undefined) return;
    if (error.reason === 'REQUEST_TIMEOUT') this.#connections.retire(connection);
    if (error.reason === 'REQUEST_TOO_LARGE') this.#connections.misused(connection);
  }

  #arrived(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
  ): void {
    const connection = this.#connections.of(stream.session);
    // Nothing of a body has ever come before its headers are told of; if it has, nobody has guarded it.
    if (connection === undefined || stream.readableLength > 0) {
      stream.on('error', ignore);
      stream.close(constants.NGHTTP2_REFUSED_STREAM);
      return;
    }
    this.#turns.arrived(connection);
    const rule = this.#dependencies.methods.get(headers[':path'] ?? '');
    if (rule === undefined || headers['content-type']?.startsWith('application/grpc') !== true) {
      // The library refuses these by their headers.
      discardBody(stream);
      this.#library(stream, headers, flags, rawHeaders);
      // Node would keep the stream for as long as the client does not end it.
      if (stream.headersSent) closeAnswered(stream);
      return;
    }
    const body = new RequestBody(stream, headers, flags, rawHeaders, rule, connection.early, this);
    body.deadline = deadlineOf(headers);
    connection.activeAt = this.interval;
    if (connection.isSurplus) {
      stream.on('error', ignore);
      body.fail(tooManyConnections());
      connection.close(this.interval);
    } else if (rule.isOpen) {
      this.#visit(body, connection);
    } else {
      const known = this.#dependencies.authenticator.know(headers.authorization);
      if (known === undefined) {
        stream.on('error', ignore);
        void this.#judge(body, connection);
        return;
      }
      connection.recognized();
      body.known = known;
      body.admit(known.userId);
    }
  }

  /** #visit lets a call to an open method in, if the connection does not hold too many already. */
  #visit(body: RequestBody, connection: Connection): void {
    const { stream, rawHeaders, rule } = body;
    const isFree = connection.trust === 'caller' || !rule.lasts;
    const held = lengthOf(rawHeaders) + (isFree ? 0 : BYTES_OF_A_LASTING_CALL);
    if (!connection.openShare.take(held)) {
      body.fail(openCallsTooLarge(MAX_OPEN_CALLS));
      return;
    }
    stream.once('close', () => {
      connection.openShare.give(held);
    });
    connection.visited();
    body.admit(undefined);
  }

  /** #judge lets a call wait for its credentials to be judged. */
  async #judge(body: RequestBody, connection: Connection): Promise<void> {
    const { authenticator, authentications } = this.#dependencies;
    const { peer, authContext } = connection;
    const isStranger = connection.trust !== 'caller';
    if (isStranger && this.#waitingStrangers >= MAX_WAITING_STRANGERS) {
      body.fail(databaseUnavailable());
      return;
    }
    const requestId = randomUUID();
    const startedAt = performance.now();
    body.judging = { requestId, startedAt };
    let found: Authenticated;
    connection.judging(1);
    if (isStranger) this.#waitingStrangers += 1;
    try {
      const { authorization } = body.headers;
      found = await authenticator.authenticate({ authorization, authContext, peer, requestId });
    } catch (error) {
      const failure = toKeywardError(error, requestId);
      if (failure.reason === 'CREDENTIALS_REFUSED') authentications.failed(peer);
      body.fail(failure);
      return;
    } finally {
      connection.judging(-1);
      if (isStranger) this.#waitingStrangers -= 1;
    }
    connection.recognized();
    body.judged = { requestId, startedAt, found: body.hasEnded ? found : undefined };
    body.admit(found.caller.userId);
  }
}

function lengthOf(texts: readonly string[]): number {
  return texts.reduce((sum, { length }) => sum + length, 0);
}
