import { status, type ServiceError } from '@grpc/grpc-js';
import { BadRequest, ErrorInfo } from '../gen/google/rpc/error_details.js';
import { Status } from '../gen/google/rpc/status.js';

const SPEAKS_NO_TLS =
  'the server speaks no TLS; give plaintext (--plaintext) if nobody else can read the network';

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
  readonly violations: readonly { readonly field: string; readonly rule: string }[];

  constructor(error: ServiceError, details: Status['details']) {
    super(isAnsweredInPlaintext(error) ? SPEAKS_NO_TLS : error.details, { cause: error });
    this.code = error.code;
    const info = details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.ErrorInfo'));
    const { reason, metadata } = ErrorInfo.decode(info?.value ?? new Uint8Array());
    this.reason = reason;
    this.metadata = metadata;
    const bad = details.find(({ typeUrl }) => typeUrl.endsWith('/google.rpc.BadRequest'));
    this.violations = BadRequest.decode(bad?.value ?? new Uint8Array()).fieldViolations.map((violation) => ({
      field: violation.field,
      rule: violation.description,
    }));
  }

  /** codeName is the status code as text, for example `NOT_FOUND`. */
  get codeName(): string {
    return status[this.code];
  }
}

/** toCallError reads the details that come with an error. */
export function toCallError(error: ServiceError): KeywardCallError {
  const [bytes] = error.metadata.get('grpc-status-details-bin');
  return new KeywardCallError(error, typeof bytes === 'object' ? Status.decode(bytes).details : []);
}
