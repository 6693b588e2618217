import { createReadStream } from 'node:fs';
import { open, readFile } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { formatHeads, HeadsReader } from '../audit/heads-format.js';
import type { SavedHead } from '../audit/verify.js';
import { systemClock } from '../lib/clock.js';
import { replacePrivately } from '../lib/private-file.js';

/**
 * readHeads reads what writeHeads wrote, and what services wrote to KEYWARD_AUDIT_HEADS_FILE: lines, of which the newest
 * head of each chain counts.
 */
export async function readHeads(files: readonly string[]): Promise<SavedHead[]> {
  const reader = new HeadsReader();
  for (const file of files) await readInto(reader, file);
  return reader.heads;
}

/** writeHeads replaces the file as a whole, so that it is never cut short. */
export function writeHeads(file: string, heads: readonly SavedHead[]): Promise<void> {
  return replacePrivately(file, formatHeads(heads, systemClock.now()));
}

async function readInto(reader: HeadsReader, file: string): Promise<void> {
  let number = 0;
  let damaged = 0;
  for await (const line of createInterface({ input: createReadStream(file), crlfDelay: Infinity })) {
    number += 1;
    if (line !== '' && !reader.add(line)) damaged ||= number;
    else if (damaged > 0) break;
  }
  if (damaged === 0) return;
  // The last line may be one that is just being written.
  if (damaged === number && number > 1 && !(await endsWithLine(file))) return;
  // Earlier versions wrote one object on several lines.
  if (damaged === 1 && reader.add(await readFile(file, 'utf8'))) return;
  throw new Error(`${file}, line ${damaged}: no heads of the audit log`);
}

async function endsWithLine(path: string): Promise<boolean> {
  const file = await open(path);
  try {
    const { size } = await file.stat();
    const { buffer } = await file.read(Buffer.alloc(1), 0, 1, size - 1);
    return buffer.toString() === '\n';
  } finally {
    await file.close();
  }
}
