import { BinaryReader } from '@bufbuild/protobuf/wire';

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * strictReader reads a message and throws where text is not UTF-8. A generated `decode` that is given bytes
 * would read such text with U+FFFD in the places of what it cannot read.
 */
export function strictReader(bytes: Uint8Array): BinaryReader {
  return new BinaryReader(bytes, (text) => utf8.decode(text));
}
