const WIDTH = 30;

/** progressBar is one line that shows how much of a work is done. */
export function progressBar(done: bigint, total: bigint): string {
  const share = total === 0n ? 1 : Number(done) / Number(total);
  const filled = Math.floor(share * WIDTH);
  const bar = '#'.repeat(filled) + '.'.repeat(WIDTH - filled);
  return `[${bar}] ${Math.floor(share * 100)} %, ${done} of ${total}`;
}
