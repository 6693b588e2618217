import { Metadata, status, type ServiceError } from '@grpc/grpc-js';
import { BinaryReader } from '@bufbuild/protobuf/wire';
import { Duration } from '../duration.js';
import { BadRequest, ErrorInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';

const SPEAKS_NO_TLS =
  'the server speaks no TLS; give plaintext (--plaintext) if nobody else can read the network';

/** Violation is a field that breaks a rule, with the rule. */
export interface Violation {
  readonly field: string;
  readonly rule: string;
}

/** isAnsweredInPlaintext knows OpenSSL's words for an answer that is no TLS. */
function isAnsweredInPlaintext({ code, details }: ServiceError): boolean {
  return code === status.UNAVAILABLE && /wrong version number|packet length too long/.test(details);
}

/** KeywardCallError is a call that failed, with what the service says of the cause. */
export class KeywardCallError extends Error {
  override readonly name = 'KeywardCallError';
  /** The gRPC status code. */
  readonly code: status;
  /** Name of a `keyward.errors.v1.ErrorReason` without its prefix; empty if the service could not be asked. */
  readonly reason: string;
  /** Facts about the cause, see the reason. */
  readonly metadata: ReadonlyMap<string, string>;
  /** Fields that break a rule, with the rule. */
  readonly violations: readonly Violation[];
  /** After how many milliseconds the call may be tried again, if the service says so. */
  readonly retryAfterMs: number | undefined;

  constructor(error: ServiceError, details: Status['details']) {
    super(isAnsweredInPlaintext(error) ? SPEAKS_NO_TLS : error.details, { cause: error });
    this.code = error.code;
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
  get codeName(): string {
    return status[this.code];
  }

  /** requestId is what the service's log calls the call; empty if the service could not be asked. */
  get requestId(): string {
    return this.metadata.get('request_id') ?? '';
  }
}

/** toCallError reads the details that come with an error. One of Node's own streams has none: the connection is gone. */
export function toCallError(error: ServiceError | Error): KeywardCallError {
  if (!('metadata' in error))
    return new KeywardCallError(serviceError(status.UNAVAILABLE, error.message), []);
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  return new KeywardCallError(error, typeof bytes === 'object' ? Status.decode(bytes).details : []);
}

/** statusError makes the error of a status that came within a message of a stream. */
export function statusError({ code, message, details }: Status): KeywardCallError {
  const known = code in status ? status[status[code] as keyof typeof status] : status.UNKNOWN;
  return new KeywardCallError(serviceError(known, message), details);
}

/** invalidRequest is the error of a request that is refused before it is sent, in the form in which the service refuses one. */
export function invalidRequest(violations: readonly Violation[]): KeywardCallError {
  const message = violations.map(({ field, rule }) => `${field} ${rule}`).join('; ');
  return new KeywardCallError(serviceError(status.INVALID_ARGUMENT, message), [
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
  return { typeUrl: `type.googleapis.com/google.rpc.${name}`, value: Buffer.from(value) };
}

function serviceError(code: status, details: string): ServiceError {
  return Object.assign(new Error(details), { code, details, metadata: new Metadata() });
}
