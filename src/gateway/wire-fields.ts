/**
 * WireFields reads the fields of a protobuf message in their order. The message is a text with one character for each byte:
 * what is wanted of it is cut out without a copy.
 */
export class WireFields {
  /** Number of the field that `next` came to; 0 for one that is not of bytes. */
  field = 0;
  /** Where its bytes begin and end. */
  start = 0;
  end = 0;
  readonly #text: string;
  readonly #stop: number;
  #at: number;

  constructor(text: string, start: number, stop: number) {
    this.#text = text;
    this.#at = start;
    this.#stop = stop;
  }

  /** next comes to the next field; false at the end. Throws on bytes that are no message. */
  next(): boolean {
    if (this.#at >= this.#stop) return false;
    const tag = this.#varint();
    this.field = 0;
    switch (tag & 7) {
      case 0:
        this.#varint();
        break;
      case 1:
        this.#skip(8);
        break;
      case 2: {
        const length = this.#varint();
        this.field = tag >>> 3;
        this.start = this.#at;
        this.#skip(length);
        this.end = this.#at;
        break;
      }
      case 5:
        this.#skip(4);
        break;
      default:
        throw new RangeError('no field begins like this');
    }
    return true;
  }

  /** text is what the field holds. */
  text(): string {
    return this.#text.slice(this.start, this.end);
  }

  /** keyLength is how long the key of an entry of a map is; undefined where it does not begin with one of less than 128 bytes. */
  keyLength(): number | undefined {
    if (this.end - this.start < 2 || this.#text.charCodeAt(this.start) !== KEY_TAG) return undefined;
    const length = this.#text.charCodeAt(this.start + 1);
    return length < 128 ? length : undefined;
  }

  /** inner reads the field as a message. */
  inner(): WireFields {
    return new WireFields(this.#text, this.start, this.end);
  }

  #skip(length: number): void {
    this.#at += length;
    if (length < 0 || this.#at > this.#stop) throw new RangeError('a field ends after its message');
  }

  /** #varint gives the low 32 bits. */
  #varint(): number {
    // Nearly all have one byte.
    if (this.#at < this.#stop) {
      const only = this.#text.charCodeAt(this.#at);
      if (only < 128) {
        this.#at += 1;
        return only;
      }
    }
    let value = 0;
    for (let shift = 0; shift < 70 && this.#at < this.#stop; shift += 7) {
      const byte = this.#text.charCodeAt(this.#at++);
      if (shift < 32) value |= (byte & 127) << shift;
      if (byte < 128) return value;
    }
    throw new RangeError('a number has no end');
  }
}

/** Tag of field 1 with a length: the key of an entry of a map, or of a header. */
const KEY_TAG = 0x0a;
