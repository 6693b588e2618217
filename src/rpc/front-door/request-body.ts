import { constants, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2';
import { KeywardError, overloaded, requestTooLarge, tooMuchUnfinished } from '../../lib/errors.js';
import type { KnownCaller } from '../authenticator.js';
import type { Admission, Judged, MethodRule } from './method-rules.js';
import { CallerShare } from './body-budget.js';
import type { Deadline } from './deadline.js';
import { isPlain, type FastLane, type LaneCall } from './fast-lane.js';
import { guardStream, ignore, pushToStream } from './guarded-stream.js';
import { CollectedBytes, type Share } from './collected-bytes.js';
import { encodingOf, endOfMessage, FRAME_HEADER, inflated, inflatedAtOnce, isWhole } from './inflate.js';
import type { Work } from './load-limit.js';

/** BodyKeeper is whom a body tells what becomes of it. */
export interface BodyKeeper {
  /** The number of the present interval; time is counted in these. */
  readonly interval: number;
  readonly lane: FastLane;
  /** shareOf bears what is collected of an admitted call: of that user, or of the connection where nobody is known. */
  shareOf(body: RequestBody): Share | CallerShare;
  /** mayEnterEmpty tells whether the library may have one more call that it waits for the message of. */
  mayEnterEmpty(): boolean;
  /** messageCame tells of one less. */
  messageCame(): void;
  /** mayWork tells whether a call with so long a message, inflated or not, may be worked on beside those that are. */
  mayWork(body: RequestBody, bytes: number): boolean;
  /** enter hands the stream over to the library. */
  enter(body: RequestBody): void;
  /** refused is told of a call that must end. A conversation is ended by the fault of its admission. */
  refused(body: RequestBody, error: KeywardError, isTalking: boolean): void;
}

/** Phase is what becomes of the bytes that come. */
type Phase =
  /** They are collected: nobody knows yet who calls. */
  | 'waiting'
  /** The library gets the one message of the call when it is whole, and then its end. */
  | 'receiving'
  /** The library has messages of a stream from it, each when it is whole. */
  | 'talking'
  /** All has been handed over. */
  | 'passing'
  /** The call has been answered. */
  | 'discarded';

const END_OF_STREAM = 1;
/**
 * RequestBody stands between the HTTP/2 connection and the stream that the library reads. It lets through whole messages
 * within the method's limit, and not before somebody has admitted the call. What is too large is refused when
 * its length is announced, not when it has come.
 */
export class RequestBody implements Admission, LaneCall {
  readonly stream: ServerHttp2Stream;
  readonly headers: IncomingHttpHeaders;
  readonly flags: number;
  readonly rawHeaders: string[];
  readonly rule: MethodRule;
  /** Set while the credentials are judged and afterwards, if that took asking. */
  judging: { readonly requestId: string; readonly startedAt: number } | undefined;
  known: KnownCaller | undefined;
  judged: Judged | undefined;
  work: Work | undefined;
  readonly fault: AbortController | undefined;
  /** undefined where the client has none. */
  deadline: Deadline | undefined;
  /** Who calls, once the call is admitted; undefined where nobody has to be known. */
  userId: bigint | undefined;
  /** True once the client has sent its last byte. */
  hasEnded: boolean;
  place: number | undefined;
  readonly #keeper: BodyKeeper;
  readonly #early: Share;
  /** Most calls come in one piece, and need none. */
  #collected: CollectedBytes | undefined;
  /** Counts the call while a part of a message is held. */
  #caller: CallerShare | undefined;
  #phase: Phase = 'waiting';
  /** The message of a call on the fast lane, until its end has come too. */
  #held: Buffer | undefined;
  #isEntered = false;
  /** True while the library waits for the one message. */
  #isEmpty = false;
  /** True once the one message is there. */
  #hasMessage = false;
  /** True while it is being inflated: its end is handed over afterwards. */
  #isInflating = false;
  /** The interval in which the message that is awaited was begun. */
  #since: number | undefined;
  /** The interval in which the call was answered instead. */
  #discardedAt = Infinity;

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    flags: number,
    rawHeaders: string[],
    rule: MethodRule,
    early: Share,
    keeper: BodyKeeper,
  ) {
    this.stream = stream;
    this.headers = headers;
    this.flags = flags;
    this.rawHeaders = rawHeaders;
    this.rule = rule;
    this.fault = rule.isConversation ? new AbortController() : undefined;
    this.hasEnded = (flags & END_OF_STREAM) !== 0;
    this.#keeper = keeper;
    this.#early = early;
    this.#since = keeper.interval;
    guardStream(stream, this);
  }

  /** receive takes what came, null for the end. Returns false to slow the client down. */
  receive(piece: Buffer | null): boolean {
    if (piece === null) return this.#end();
    switch (this.#phase) {
      case 'waiting':
        this.#collect(piece);
        return true;
      case 'receiving':
        return this.#receive(piece);
      case 'talking':
        return this.#talk(piece);
      case 'passing':
        return pushToStream(this.stream, piece);
      case 'discarded':
        return false;
    }
  }

  /** admit lets the call in, of that user; undefined where nobody has to be known. */
  admit(userId: bigint | undefined): void {
    if (this.#phase !== 'waiting') return;
    const { rule } = this;
    this.userId = userId;
    const collected = this.#collected;
    const late = this.deadline?.refusal;
    if (late !== undefined || collected?.moveTo(this.#shareOfCaller()) === false) {
      this.stream.on('error', ignore);
      this.fail(late ?? tooMuchUnfinished());
      return;
    }
    if (rule.isConversation && !this.#keeper.mayWork(this, 0)) {
      this.stream.on('error', ignore);
      this.fail(overloaded());
      return;
    }
    this.#phase = rule.isConversation ? 'talking' : 'receiving';
    if (rule.isConversation) this.#since = undefined;
    else if (this.#mayTakeLane()) this.#keeper.lane.enter(this);
    else this.#isEmpty = this.#keeper.mayEnterEmpty();
    if (rule.isConversation || this.#isEmpty) this.#enter();
    else this.stream.on('error', ignore);
    if (collected !== undefined) this.receive(NOTHING);
    if (this.hasEnded) this.#end();
  }

  leaveLane(): void {
    const held = this.#held;
    this.#held = undefined;
    this.#keeper.lane.leave(this);
    if (held !== undefined) {
      this.#deliver(held);
      return;
    }
    this.#isEmpty = this.#keeper.mayEnterEmpty();
    if (this.#isEmpty) this.#enter();
  }

  /** fail ends the call with an error, and lets nothing more of it into memory. */
  fail(error: KeywardError): void {
    if (this.#phase === 'passing' || this.#phase === 'discarded') return;
    const wasTalking = this.#phase === 'talking';
    this.#release('discarded');
    this.#discardedAt = this.#keeper.interval;
    if (wasTalking) this.fault?.abort(error);
    this.#keeper.refused(this, error, wasTalking);
  }

  /** closeIfLeft closes the stream of a call that was answered before that interval, and whose client goes on sending. */
  closeIfLeft(interval: number): void {
    if (this.#discardedAt < interval) this.stream.close(constants.NGHTTP2_NO_ERROR);
  }

  /** isOverdue tells whether a message was begun in that interval or before, and is not there yet. */
  isOverdue(interval: number): boolean {
    const isAwaited = this.#phase === 'receiving' || this.#phase === 'talking';
    return isAwaited && this.#since !== undefined && this.#since <= interval;
  }

  #mayTakeLane(): boolean {
    const { known, rule, headers, deadline } = this;
    return known !== undefined && rule.answerFromMemory !== undefined && isPlain(headers, deadline);
  }

  #receive(piece: Buffer): boolean {
    const { maxRequestBytes } = this.rule;
    if (this.place !== undefined) {
      if (this.#held === undefined && piece[0] === 0 && isWhole(piece, maxRequestBytes)) {
        this.#held = piece;
        return true;
      }
      this.leaveLane();
      if (this.#phase !== 'receiving') return false;
    }
    if (this.#hasMessage) return this.#refuse(secondMessage());
    if (this.#collected === undefined && isWhole(piece, maxRequestBytes)) return this.#deliver(piece);
    const bytes = this.#collect(piece);
    if (bytes === undefined) return this.#refuse(tooMuchUnfinished());
    const end = endOfMessage(bytes, 0);
    if (end === undefined) return true;
    if (end - FRAME_HEADER > maxRequestBytes) return this.#refuse(requestTooLarge(maxRequestBytes));
    if (bytes.length > end) return this.#refuse(secondMessage());
    if (bytes.length === end) return this.#deliver(bytes);
    this.#collected?.expect(end);
    // Nobody else reads a stream that the library does not have: the client may send no more than 64 KiB unasked.
    if (!this.#isEntered) this.stream.read(0);
    return true;
  }

  #enter(): void {
    if (this.#isEntered) return;
    this.#isEntered = true;
    this.#keeper.enter(this);
  }

  #refuse(error: KeywardError): false {
    this.fail(error);
    return false;
  }

  /** #deliver gives the library the one message. */
  #deliver(frame: Buffer): boolean {
    const { headers, rule } = this;
    this.#hasMessage = true;
    const late = this.deadline?.refusal;
    if (late !== undefined) return this.#refuse(late);
    if (!this.#keeper.mayWork(this, frame.length)) return this.#refuse(overloaded());
    const encoding = frame[0] === 1 ? encodingOf(headers['grpc-encoding']) : undefined;
    if (encoding === undefined) return this.#handOver(frame);
    this.#isInflating = true;
    inflated(frame, encoding, rule.maxRequestBytes).then(
      (message) => {
        this.#isInflating = false;
        if (this.#phase !== 'receiving') return;
        if (!this.#keeper.mayWork(this, message.length)) {
          this.#refuse(overloaded());
          return;
        }
        this.#handOver(message);
        if (this.hasEnded) this.#end();
      },
      (error: unknown) => {
        this.fail(error as KeywardError);
      },
    );
    return true;
  }

  #handOver(message: Buffer): boolean {
    this.#dropCollected();
    this.#messageCame();
    return pushToStream(this.stream, message);
  }

  /** #endOnLane answers a call whose message and end have come; if memory cannot, the call leaves the lane. */
  #endOnLane(): void {
    const { deadline, known, rule } = this;
    const message = this.#held?.subarray(FRAME_HEADER);
    const isLate = deadline?.refusal !== undefined;
    const canTell = message !== undefined && known !== undefined && !isLate;
    const answer = canTell ? rule.answerFromMemory?.(message, known) : undefined;
    if (answer === undefined) {
      this.leaveLane();
      return;
    }
    this.#release('discarded');
    this.#discardedAt = this.#keeper.interval;
    this.#keeper.lane.answers.send(this.stream, answer);
  }

  #talk(piece: Buffer): boolean {
    const { stream, headers, rule } = this;
    const encoding = encodingOf(headers['grpc-encoding']);
    const isCollected = this.#collected !== undefined;
    const bytes = isCollected ? this.#collect(piece) : piece;
    if (bytes === undefined) return this.#refuse(tooMuchUnfinished());
    let wantsMore = true;
    let passed = 0;
    const pass = (to: number): void => {
      // A client that sends faster than it is answered must not keep what was read from the socket in memory.
      const part = bytes.subarray(passed, to);
      const isWaited = isCollected || stream.readableLength > 0;
      if (part.length > 0) wantsMore = pushToStream(stream, isWaited ? Buffer.from(part) : part);
      passed = to;
    };
    let at = 0;
    try {
      for (let end = endOfMessage(bytes, at); end !== undefined; end = endOfMessage(bytes, at)) {
        if (end - at - FRAME_HEADER > rule.maxRequestBytes) throw requestTooLarge(rule.maxRequestBytes);
        if (end > bytes.length) break;
        if (bytes[at] === 1 && encoding !== undefined) {
          pass(at);
          const message = inflatedAtOnce(bytes.subarray(at, end), encoding, rule.maxRequestBytes);
          wantsMore = pushToStream(stream, message);
          passed = end;
        }
        at = end;
      }
      pass(at);
    } catch (error) {
      if (!(error instanceof KeywardError)) throw error;
      pass(at);
      return this.#refuse(error);
    }
    return this.#keepRest(bytes, at, isCollected) && wantsMore;
  }

  /** #keepRest keeps the beginning of the next message. */
  #keepRest(bytes: Buffer, from: number, isCollected: boolean): boolean {
    if (from === bytes.length) {
      this.#since = undefined;
      this.#dropCollected();
      return true;
    }
    if (from > 0 || this.#since === undefined) this.#since = this.#keeper.interval;
    if (isCollected) {
      if (from > 0) this.#collected?.dropFirst(from);
    } else if (this.#collect(bytes.subarray(from)) === undefined) {
      return this.#refuse(tooMuchUnfinished());
    }
    return true;
  }

  #shareOfCaller(): Share {
    const share = this.#keeper.shareOf(this);
    if (share instanceof CallerShare && this.#caller === undefined) {
      this.#caller = share;
      share.begin();
    }
    return share;
  }

  /** #collect adds a piece and gives all so far; undefined if there is no room for it. */
  #collect(piece: Buffer): Buffer | undefined {
    if (this.#collected === undefined) {
      this.#collected = new CollectedBytes(this.#phase === 'waiting' ? this.#early : this.#shareOfCaller());
    }
    return this.#collected.append(piece) ? this.#collected.bytes : undefined;
  }

  #end(): boolean {
    const { stream } = this;
    this.hasEnded = true;
    if (stream.closed || stream.destroyed) this.#release('discarded');
    else if (this.place !== undefined) this.#endOnLane();
    if (this.#phase === 'waiting' || (this.#phase === 'receiving' && this.#isInflating)) return true;
    // The library has an answer to a request that ends before its message does.
    const rest = this.#phase === 'receiving' ? this.#collected?.bytes : undefined;
    if (this.#phase === 'receiving') this.#enter();
    if (rest !== undefined) pushToStream(stream, rest);
    if (this.#phase !== 'discarded') this.#release('passing');
    return pushToStream(stream, null);
  }

  #messageCame(): void {
    this.#enter();
    if (!this.#isEmpty) return;
    this.#isEmpty = false;
    this.#keeper.messageCame();
  }

  #release(phase: Phase): void {
    this.#phase = phase;
    this.#since = undefined;
    this.#held = undefined;
    if (this.place !== undefined) this.#keeper.lane.leave(this);
    this.#dropCollected();
    if (!this.#isEmpty) return;
    this.#isEmpty = false;
    this.#keeper.messageCame();
  }

  #dropCollected(): void {
    this.#collected?.release();
    this.#collected = undefined;
    this.#caller?.complete();
    this.#caller = undefined;
  }
}

const NOTHING = Buffer.alloc(0);

function secondMessage(): KeywardError {
  return new KeywardError('MALFORMED_REQUEST', 'The method takes one message.');
}
