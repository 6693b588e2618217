import { BinaryReader } from '@bufbuild/protobuf/wire';
import { Duration } from '../duration.js';
import { BadRequest, ErrorInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';
import { StatusCode, statusName, type StatusName } from './status-code.js';

const SPEAKS_NO_TLS =
  'the server speaks no TLS; give plaintext (--plaintext) if nobody else can read the network';

/** Violation is a field that breaks a rule, with the rule. */
export interface Violation {
  readonly field: string;
  readonly rule: string;
}

/** Failure is how a call ended. */
interface Failure {
  readonly code: number;
  /** A text for people. */
  readonly details: string;
}

/** WireError is how the library tells of a failure. */
interface WireError extends Error, Failure {
  readonly metadata: { get(key: string): readonly (string | Uint8Array)[] };
}

/** isAnsweredInPlaintext knows OpenSSL's words for an answer that is no TLS. */
function isAnsweredInPlaintext({ code, details }: Failure): boolean {
  return code === StatusCode.UNAVAILABLE && /wrong version number|packet length too long/.test(details);
}

/**
 * isCutShort tells calls whose stream ended without a status, by the library's words for it: the connection was cut, or what stood
 * in between gave up. The library calls some of these INTERNAL, as if the service had failed, or CANCELLED, as if the caller had.
 */
function isCutShort({ code, details }: Failure): boolean {
  if (code === StatusCode.CANCELLED) return details === 'Call cancelled';
  return code === StatusCode.INTERNAL && details.startsWith('Received RST_STREAM with code');
}

/** KeywardCallError is a call that failed, with what the service says of the cause. */
export class KeywardCallError extends Error {
  override readonly name = 'KeywardCallError';
  /** The gRPC status code: a number, see `StatusCode`. */
  readonly code: number;
  /** Name of a `keyward.errors.v1.ErrorReason` without its prefix; empty if the service could not be asked. */
  readonly reason: string;
  /** Facts about the cause, see the reason. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Fields that break a rule, with the rule. */
  readonly violations: readonly Violation[];
  /** After how many milliseconds the call may be tried again, if the service says so. */
  readonly retryAfterMs: number | undefined;

  constructor(failure: Failure, details: Status['details'] = []) {
    super(isAnsweredInPlaintext(failure) ? SPEAKS_NO_TLS : failure.details, { cause: failure });
    this.code = isCutShort(failure) ? StatusCode.UNAVAILABLE : failure.code;
    const bytesOf = (name: string): Uint8Array | undefined =>
      details.find(({ typeUrl }) => typeUrl.endsWith(`/google.rpc.${name}`))?.value;
    const { reason, metadata } = ErrorInfo.decode(bytesOf('ErrorInfo') ?? new Uint8Array());
    this.reason = reason;
    this.metadata = new Map(Object.entries(metadata));
    const { fieldViolations } = BadRequest.decode(bytesOf('BadRequest') ?? new Uint8Array());
    this.violations = fieldViolations.map(({ field, description }) => ({ field, rule: description }));
    this.retryAfterMs = retryDelayOf(bytesOf('RetryInfo'));
  }

  /** codeName is the status code as text, for example `NOT_FOUND`. */
  get codeName(): StatusName {
    return statusName(this.code);
  }

  /** requestId is what the service's log calls the call; empty if the service could not be asked. */
  get requestId(): string {
    return this.metadata.get('request_id') ?? '';
  }
}

/** toCallError reads the details that come with an error. One of Node's own streams has none: the connection is gone. */
export function toCallError(error: WireError | Error): KeywardCallError {
  if (!('metadata' in error))
    return new KeywardCallError({ code: StatusCode.UNAVAILABLE, details: error.message });
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  return new KeywardCallError(error, typeof bytes === 'object' ? Status.decode(bytes).details : []);
}

/** statusError makes the error of a status that came within a message of a stream. */
export function statusError({ code, message, details }: Status): KeywardCallError {
  return new KeywardCallError({ code: StatusCode[statusName(code)], details: message }, details);
}

/** What the library says of calls for which there was no connection, or for which one was given up. */
const UNSENT =
  /^(?:round_robin: No connection established|Name resolution failed|Channel closed before call started)/;

/** isUnsent tells, by the library's words for it, calls that were never sent. */
export function isUnsent({ code, message }: KeywardCallError): boolean {
  return code === StatusCode.UNAVAILABLE && UNSENT.test(message);
}

/** invalidRequest is the error of a request that is refused before it is sent, in the form in which the service refuses one. */
export function invalidRequest(violations: readonly Violation[]): KeywardCallError {
  const message = violations.map(({ field, rule }) => `${field} ${rule}`).join('; ');
  return new KeywardCallError({ code: StatusCode.INVALID_ARGUMENT, details: message }, [
    any(
      'ErrorInfo',
      ErrorInfo.encode({ reason: 'INVALID_FIELDS', domain: 'keyward', metadata: {} }).finish(),
    ),
    any(
      'BadRequest',
      BadRequest.encode(
        BadRequest.fromPartial({
          fieldViolations: violations.map(({ field, rule }) => ({ field, description: rule })),
        }),
      ).finish(),
    ),
  ]);
}

/** retryDelayOf reads the one field of a google.rpc.RetryInfo, which is a Duration. */
function retryDelayOf(bytes: Uint8Array | undefined): number | undefined {
  if (bytes === undefined || bytes.length === 0) return undefined;
  const reader = new BinaryReader(bytes);
  reader.uint32();
  return Duration.decode(reader, reader.uint32());
}

function any(name: string, value: Uint8Array): Status['details'][number] {
  return { typeUrl: `type.googleapis.com/google.rpc.${name}`, value };
}
