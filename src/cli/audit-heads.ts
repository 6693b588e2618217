import { readFile, rename, writeFile } from 'node:fs/promises';
import { z } from 'zod';
import type { SavedHead } from '../audit/verify.js';

const HeadsFile = z.object({
  version: z.literal(1),
  heads: z.array(
    z.object({
      chain: z.uuid(),
      seq: z.string().regex(/^\d{1,18}$/),
      mac: z.string().regex(/^[0-9a-f]{64}$/),
    }),
  ),
});

/** readHeads reads what writeHeads wrote. */
export async function readHeads(file: string): Promise<SavedHead[]> {
  const parsed = HeadsFile.safeParse(parseJson(await readFile(file, 'utf8')));
  if (!parsed.success) throw new Error(`${file} is no file of --save-heads`);
  return parsed.data.heads.map(({ chain, seq, mac }) => ({
    chain,
    seq: BigInt(seq),
    mac: Buffer.from(mac, 'hex'),
  }));
}

/** writeHeads replaces the file as a whole, so that it is never cut short. */
export async function writeHeads(file: string, heads: readonly SavedHead[]): Promise<void> {
  const texts = heads.map(({ chain, seq, mac }) => ({ chain, seq: String(seq), mac: mac.toString('hex') }));
  const content: z.infer<typeof HeadsFile> = { version: 1, heads: texts };
  await writeFile(`${file}.new`, `${JSON.stringify(content, undefined, 2)}\n`);
  await rename(`${file}.new`, file);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // Not a file of ours; the caller says so.
  }
}
