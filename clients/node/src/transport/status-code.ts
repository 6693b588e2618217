/** StatusCode are the codes that gRPC ends calls with. */
export const StatusCode = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** StatusName is the name of a code. */
export type StatusName = keyof typeof StatusCode;

const NAMES = new Map<number, StatusName>(
  Object.entries(StatusCode).map(([name, code]) => [code, name as StatusName]),
);

/** statusName is the name of a code; `UNKNOWN` of one that gRPC does not know. */
export function statusName(code: number): StatusName {
  return NAMES.get(code) ?? 'UNKNOWN';
}
