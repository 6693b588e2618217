import { io } from './io.js';
import { printErrorLine } from './output.js';

/**
 * givenTexts reads texts from standard input, one a line, and gives those that have come together. Empty lines are left
 * out; a line that begins with a quotation mark is a JSON string.
 */
export async function* givenTexts(): AsyncGenerator<readonly string[]> {
  const { stdin } = io();
  if (stdin.isTTY === true)
    printErrorLine('Type or paste texts, one a line, to ask about each. Ctrl-D ends.');
  let rest = '';
  let lineNumber = 0;
  const textsOf = (lines: readonly string[]): string[] =>
    lines.flatMap((line) => {
      lineNumber += 1;
      return line.trim() === '' ? [] : [parseLine(line, lineNumber)];
    });
  stdin.setEncoding('utf8');
  for await (const chunk of stdin as AsyncIterable<string>) {
    const lines = (rest + chunk).split('\n');
    rest = lines.pop() ?? '';
    yield textsOf(lines);
  }
  yield textsOf([rest]);
}

/** parseLine takes a line as it is, or for what it says as a JSON string: texts that are no line have to be written so. */
function parseLine(line: string, lineNumber: number): string {
  if (!line.startsWith('"')) return line.replace(/\r$/, '');
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new Error(`line ${lineNumber} of standard input begins as a JSON string and is none`, {
      cause: error,
    });
  }
  return String(value);
}
