import { HoldVerdictsResponse } from '../gen/keyward/token/v1/hold_verdicts.js';
import { TokenServiceService } from '../gen/keyward/token/v1/token_service.js';

/** HOLD_VERDICTS is the method as it is served: its handler encodes what it sends, to know how many bytes that takes. */
export const HOLD_VERDICTS = {
  ...TokenServiceService.holdVerdicts,
  isDialogue: true as const,
  responseSerialize: (message: Buffer) => message,
};

type Message = NonNullable<HoldVerdictsResponse['message']>;

export function encode(message: Message): Buffer {
  return Buffer.from(HoldVerdictsResponse.encode({ message }).finish());
}
