import { appendFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { queryObjects, writeHeapSnapshot } from 'node:v8';

/**
 * dumpHeap collects what is garbage and writes a heap snapshot, and after it the bytes of every buffer there is, of
 * which a snapshot tells the sizes alone. Bytes that Node keeps for small buffers to share are among them, also where
 * no buffer is any more.
 */
export function dumpHeap(file) {
  globalThis.gc?.();
  writeHeapSnapshot(file);
  for (const bytes of allBytes()) appendFileSync(file, Buffer.from(bytes, 'hex'));
}

/** allBytes are the contents of all array buffers, in hexadecimal. */
function allBytes() {
  const { prototype } = ArrayBuffer;
  const custom = { configurable: true, value: contents };
  Object.defineProperty(prototype, inspect.custom, custom);
  try {
    // The summary of an object is how it is inspected.
    return queryObjects(ArrayBuffer, { format: 'summary' });
  } finally {
    Reflect.deleteProperty(prototype, inspect.custom);
  }
}

function contents() {
  return Buffer.from(this).toString('hex');
}
