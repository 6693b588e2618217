/** How the library reads the header `grpc-timeout`. */
const TIMEOUT = /(\d{1,8})\s*([HMSmun])/;
/** Of the other units, eight digits are less than a timer holds. */
const SECONDS: Readonly<Record<string, number>> = { H: 3600, M: 60, S: 1 };
/** 24 days. The library keeps milliseconds in 32 bits: more than 2^31 of them are "now" for it. */
const MAX_SECONDS = 24 * 24 * 3600;
const LONGEST = `${MAX_SECONDS}S`;

/** boundedTimeout is the header `grpc-timeout`, the time that a client leaves for its call, with at most 24 days in it. */
export function boundedTimeout(header: string): string {
  const [, amount = '', unit = ''] = TIMEOUT.exec(header) ?? [];
  return Number(amount) * (SECONDS[unit] ?? 0) > MAX_SECONDS ? LONGEST : header;
}
