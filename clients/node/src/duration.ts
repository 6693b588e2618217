import { BinaryReader, BinaryWriter, type WireType } from '@bufbuild/protobuf/wire';

const SECONDS_TAG = 8;
const NANOS_TAG = 16;

/** Duration is a google.protobuf.Duration, in milliseconds. Parts of a nanosecond are dropped. */
export type Duration = number;

/** The codec that the generated messages expect under this name. */
export const Duration = {
  encode(ms: Duration, writer: BinaryWriter = new BinaryWriter()): BinaryWriter {
    const seconds = Math.trunc(ms / 1000);
    const nanos = Math.trunc((ms - seconds * 1000) * 1e6);
    if (seconds !== 0) writer.uint32(SECONDS_TAG).int64(seconds);
    if (nanos !== 0) writer.uint32(NANOS_TAG).int32(nanos);
    return writer;
  },

  decode(input: BinaryReader | Uint8Array, length?: number): Duration {
    const reader = input instanceof BinaryReader ? input : new BinaryReader(input);
    const end = length === undefined ? reader.len : reader.pos + length;
    let seconds = 0;
    let nanos = 0;
    while (reader.pos < end) {
      const tag = reader.uint32();
      if (tag === SECONDS_TAG) seconds = Number(reader.int64());
      else if (tag === NANOS_TAG) nanos = reader.int32();
      else reader.skip((tag & 7) as WireType);
    }
    return seconds * 1000 + nanos / 1e6;
  },

  fromPartial(ms: Duration): Duration {
    return ms;
  },
};
