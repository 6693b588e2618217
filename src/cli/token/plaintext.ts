import type { Command } from 'commander';
import type { Propagation, Token, TokenConsumers } from '../../client/index.js';
import { writePrivately } from '../../lib/private-file.js';
import { failureText } from '../io/failure.js';
import { io } from '../io/io.js';
import { printErrorLine, printJson, printLine } from '../io/output.js';
import type { GivenValidation } from '../validation.js';
import { propagationJson } from './propagation.js';
import { theToken } from './target.js';

/** GivenOut is how a command is told where a plaintext goes, which leaves the service this once. */
export interface GivenOut extends GivenValidation {
  readonly out?: string;
  readonly json?: true;
}

interface Issued {
  readonly token?: Token | undefined;
  readonly plaintext: string;
  readonly propagation?: Propagation | undefined;
  readonly consumers?: TokenConsumers | undefined;
}

const STANDARD_OUTPUT = '-';

const HELP = `
The plaintext, which clients present, is shown this once. It is printed on a terminal; anywhere else it goes to the file
of --out, made anew with mode 0600, or with "--out -" alone to standard output, and what is told of it to standard error.`;

export function withOut(command: Command): Command {
  return command
    .option(
      '--out <FILE>',
      'write the plaintext to this file, which only you can read; "-" is standard output',
    )
    .option('--json', 'print the token as JSON, with its plaintext if that goes to standard output')
    .addHelpText('after', HELP);
}

/** handOut has a token issued, if there is where its plaintext may go, and brings it there. */
export async function handOut<T extends Issued>(
  given: GivenOut,
  issue: () => Promise<T>,
  tell: (token: Token, issued: T) => string,
): Promise<void> {
  const { out, validateOnly } = given;
  // It issues nothing, and so ends there.
  if (validateOnly === true) await issue();
  if (out === undefined && io().stdout.isTTY !== true) {
    throw new Error(
      'the plaintext is shown once, and standard output is no terminal: give --out <FILE>, or "--out -" to print it there',
    );
  }
  if (out === undefined || out === STANDARD_OUTPUT) print(given, await issue(), tell);
  else await save(given, out, issue, tell);
}

function print<T extends Issued>(
  { out, json }: GivenOut,
  issued: T,
  tell: (token: Token, issued: T) => string,
): void {
  const { plaintext } = issued;
  if (json === true) {
    printJson({ ...jsonOf(issued), plaintext });
    return;
  }
  const line = tell(theToken(issued), issued);
  if (out === STANDARD_OUTPUT) printErrorLine(line);
  else printLine(`${line} Its plaintext, shown this once:`);
  printLine(plaintext);
}

async function save<T extends Issued>(
  { json }: GivenOut,
  file: string,
  issue: () => Promise<T>,
  tell: (token: Token, issued: T) => string,
): Promise<void> {
  let issued: T | undefined;
  const contentOf = async (): Promise<string> => {
    issued = await issue();
    return `${issued.plaintext}\n`;
  };
  try {
    await writePrivately(file, contentOf);
  } catch (error) {
    if (issued === undefined) throw error;
    const lost = `${tell(theToken(issued), issued)} Its plaintext could not be written and is lost ("keyward token rotate" gives it another)`;
    throw new Error(`${lost}: ${failureText(error)}`, { cause: error });
  }
  if (issued === undefined) return;
  if (json === true) printJson(jsonOf(issued));
  else printLine(`${tell(theToken(issued), issued)} Its plaintext is in ${file}.`);
}

function jsonOf(issued: Issued): object {
  const propagation = propagationJson(issued);
  const { consumers } = issued;
  return {
    token: theToken(issued),
    ...(propagation === undefined ? {} : { propagation }),
    ...(consumers === undefined ? {} : { consumers }),
  };
}
