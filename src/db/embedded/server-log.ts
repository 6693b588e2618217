import { open, stat } from 'node:fs/promises';

/** What is read of the log at most. */
const MAX_BYTES = 64 * 1024;

/** What a server says when it gives up, and what the loader of programs says of one that cannot be run. */
const REASON = /^.*?(?:FATAL|PANIC|ERROR):\s+|^.*(?=error while loading shared libraries)/;

/** Reasons that only refer to the line before. */
const REFERS_BACK = /contains errors|could not create any/;

/** sizeOf is how long a file is; 0 if there is none. */
export async function sizeOf(file: string): Promise<number> {
  return (await stat(file).catch(() => undefined))?.size ?? 0;
}

/** whyNotStarted is the last reason in a server's log, from a place in it on, for why it gave up; with its hint. */
export async function whyNotStarted(logFile: string, from: number): Promise<string | undefined> {
  const lines = (await readFrom(logFile, from)).split('\n');
  const at = lines.findLastIndex((line) => REASON.test(line));
  const last = lines[at]?.replace(REASON, '');
  const cause = lines.slice(0, at).findLast((line) => /LOG:\s/.test(line));
  const reason = REFERS_BACK.test(last ?? '') ? (cause?.replace(/^.*?LOG:\s+/, '') ?? last) : last;
  const hint = /HINT:\s+(.*)/.exec(lines.slice(at + 1, at + 3).join('\n'))?.[1];
  return hint === undefined ? reason : `${reason ?? ''} (${hint})`;
}

async function readFrom(path: string, from: number): Promise<string> {
  const file = await open(path).catch(() => undefined);
  if (file === undefined) return '';
  try {
    const { buffer, bytesRead } = await file.read({ buffer: Buffer.alloc(MAX_BYTES), position: from });
    return buffer.toString('utf8', 0, bytesRead);
  } finally {
    await file.close();
  }
}
