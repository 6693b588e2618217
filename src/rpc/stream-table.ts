/** StreamTable is a Map by ascending numbers, but what it no longer holds can be collected at once. */
export class StreamTable<Stream> implements Map<number, Stream> {
  readonly [Symbol.toStringTag] = 'StreamTable';
  #streams: Record<number, Stream> = emptyRecord();
  #size = 0;

  get size(): number {
    return this.#size;
  }

  get(id: number): Stream | undefined {
    return this.#streams[id];
  }

  has(id: number): boolean {
    return id in this.#streams;
  }

  set(id: number, stream: Stream): this {
    if (!this.has(id)) this.#size += 1;
    this.#streams[id] = stream;
    return this;
  }

  delete(id: number): boolean {
    if (!this.has(id)) return false;
    this.#size -= 1;
    return Reflect.deleteProperty(this.#streams, id);
  }

  clear(): void {
    this.#streams = emptyRecord();
    this.#size = 0;
  }

  forEach(visit: (stream: Stream, id: number, table: Map<number, Stream>) => void): void {
    for (const [id, stream] of this.entries()) visit(stream, id, this);
  }

  *entries(): MapIterator<[number, Stream]> {
    for (const [id, stream] of Object.entries(this.#streams)) yield [Number(id), stream];
  }

  *keys(): MapIterator<number> {
    for (const [id] of this.entries()) yield id;
  }

  *values(): MapIterator<Stream> {
    for (const [, stream] of this.entries()) yield stream;
  }

  [Symbol.iterator](): MapIterator<[number, Stream]> {
    return this.entries();
  }
}

function emptyRecord<Stream>(): Record<number, Stream> {
  return Object.create(null) as Record<number, Stream>;
}
