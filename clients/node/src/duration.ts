import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

const SECONDS = 1;
const NANOS = 2;

/** Duration is a google.protobuf.Duration, in milliseconds. Parts of a nanosecond are dropped. */
export type Duration = number;

/** The codec that the generated messages expect under this name. */
export const Duration = {
  encode(ms: Duration, writer: BinaryWriter = new BinaryWriter()): BinaryWriter {
    const seconds = Math.trunc(ms / 1000);
    const nanos = Math.trunc((ms - seconds * 1000) * 1e6);
    if (seconds !== 0) writer.tag(SECONDS, WireType.Varint).int64(seconds);
    if (nanos !== 0) writer.tag(NANOS, WireType.Varint).int32(nanos);
    return writer;
  },

  decode(input: BinaryReader | Uint8Array, length?: number): Duration {
    const reader = input instanceof BinaryReader ? input : new BinaryReader(input);
    const end = length === undefined ? reader.len : reader.pos + length;
    let seconds = 0;
    let nanos = 0;
    while (reader.pos < end) {
      const [field, wireType] = reader.tag();
      if (field === SECONDS) seconds = Number(reader.int64());
      else if (field === NANOS) nanos = reader.int32();
      else reader.skip(wireType);
    }
    return seconds * 1000 + nanos / 1e6;
  },

  fromPartial(ms: Duration): Duration {
    return ms;
  },
};
