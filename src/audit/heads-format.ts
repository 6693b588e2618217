import { z } from 'zod';
import type { SavedHead } from './chain-verifier.js';

const Heads = z.object({
  version: z.literal(1),
  /** Only for people, and for programs that rotate the file. */
  time: z.iso.datetime().optional(),
  heads: z.array(
    z.object({
      chain: z.uuid(),
      seq: z.string().regex(/^\d{1,18}$/),
      mac: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});

/** formatHeads writes heads as one line of JSON. */
export function formatHeads(heads: readonly SavedHead[], millis: number): string {
  const line: z.infer<typeof Heads> = {
    version: 1,
    time: new Date(millis).toISOString(),
    heads: heads.map(({ chain, seq, mac }) => ({ chain, seq: String(seq), mac: mac.toString('hex') })),
  };
  return `${JSON.stringify(line)}\n`;
}

/** HeadsReader gathers the newest head of each chain from the lines of files. */
export class HeadsReader {
  readonly #newest = new Map<string, SavedHead>();

  get heads(): SavedHead[] {
    return [...this.#newest.values()];
  }

  /** add takes in one line, or the text of a whole file of earlier versions; false if it is neither. */
  add(text: string): boolean {
    const parsed = Heads.safeParse(parseJson(text));
    if (!parsed.success) return false;
    for (const { chain, seq, mac } of parsed.data.heads) {
      const known = this.#newest.get(chain);
      if (known !== undefined && known.seq >= BigInt(seq)) continue;
      this.#newest.set(chain, { chain, seq: BigInt(seq), mac: Buffer.from(mac, 'hex') });
    }
    return true;
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Not of ours; the caller says so.
  }
}
