/**
 * The `sh` blocks of a page of Markdown. Each says in its info string what becomes of it:
 *
 *   ```sh run               runs it, and it must succeed
 *   ```sh background        starts it and goes on when the service is healthy; the next background block, or the
 *                           end, stops it as Ctrl-C would
 *   ```sh not-run: reason   leaves it out and prints the reason
 *   ```text prints          after a block that is run: lines that it prints, in their order; `…` stands for any text
 */
const LANGUAGES = ['sh', 'text', 'json', 'yaml', 'ts', 'python'];
const MARKERS = /^(run|background|not-run: .+)$/;

/** shellBlocks are the blocks of a page, with the lines that they print. */
export function shellBlocks(page, markdown) {
  const blocks = [];
  for (const fence of fences(page, markdown)) {
    const fail = (reason) => {
      throw new Error(`${page}:${fence.line}: ${reason}`);
    };
    if (!LANGUAGES.includes(fence.language)) fail(`a block is one of ${LANGUAGES.join(', ')}`);
    if (fence.language === 'sh') {
      if (!MARKERS.test(fence.marker)) fail('say `run`, `background` or `not-run: reason`');
      blocks.push({ ...fence, page, prints: [] });
    } else if (fence.language === 'text' && fence.marker === 'prints') {
      const block = blocks.at(-1);
      if (block?.marker !== 'run') fail('nothing is run that could print this');
      block.prints.push(...fence.text.split('\n'));
    }
  }
  return blocks;
}

function fences(page, markdown) {
  const found = [];
  let open;
  markdown.split('\n').forEach((text, index) => {
    const fence = /^\s*```\s*(\w*)\s*(.*)$/.exec(text);
    if (!fence) open?.lines.push(text);
    else if (open) {
      found.push({ ...open, text: open.lines.join('\n') });
      open = undefined;
    } else open = { language: fence[1], marker: fence[2].trim(), line: index + 1, lines: [] };
  });
  if (open) throw new Error(`${page}:${open.line}: the block has no end`);
  return found;
}

/** missingLine is the first of these lines that an output lacks, or lacks after the one before. */
export function missingLine(lines, output) {
  let rest = output;
  return lines.find((line) => {
    const pattern = line
      .trim()
      .split('…')
      .map((part) => part.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&'))
      .join('.*');
    const found = new RegExp(pattern).exec(rest);
    rest = rest.slice((found?.index ?? 0) + (found?.[0].length ?? 0));
    return found === null;
  });
}
