import type { Command } from 'commander';
import { ResourceKind, type KeywardClient, type NamedResource, type ResolvedId } from '../client/index.js';
import { clientOptions, withClientOptions, type GivenOptions } from './client-options.js';
import { io } from './io/io.js';
import { printErrorLine, printJson, printTable, warn } from './io/output.js';
import { withClient } from './with-client.js';

/** Most bytes of a text that the service looks through at once. */
const MAX_BYTES = 32_768;

const KINDS: Readonly<Record<ResourceKind, string>> = {
  [ResourceKind.RESOURCE_KIND_UNSPECIFIED]: '',
  [ResourceKind.RESOURCE_KIND_ACCOUNT]: 'account',
  [ResourceKind.RESOURCE_KIND_USER_PROFILE]: 'user profile',
  [ResourceKind.RESOURCE_KIND_TOKEN]: 'token',
  [ResourceKind.RESOURCE_KIND_SECRET]: 'secret',
};

const HELP = `
Examples:
  keyward resolve token-rMTAxMDAwMDAxx
  grep checkout access.log | keyward resolve -`;

/** resolveCommand is `keyward resolve`. */
export function resolveCommand(command: Command): void {
  withClientOptions(command)
    .argument('[text]', 'any text; with "-" (the default) it is read from standard input', '-')
    .option('--json', 'print what was found as JSON')
    .addHelpText('after', HELP)
    .action(async (text: string, given: GivenOptions) => {
      const ids = await withClient(clientOptions(given), (client) => resolveAll(client, text));
      if (given.json === true) printJson(ids);
      else printIds(ids);
    });
}

/** resolveAll tells each id of a text, or of all lines of standard input, once. */
async function resolveAll(client: KeywardClient, text: string): Promise<readonly ResolvedId[]> {
  const found = new Map<string, ResolvedId>();
  let hasMore = false;
  for await (const part of text === '-' ? partsOfInput() : [text]) {
    const answer = await client.accounts.resolveId({ text: part });
    for (const id of answer.ids) found.set(id.text, id);
    hasMore ||= answer.hasMore;
  }
  if (hasMore)
    warn('there are more than a hundred ids in a part of the text; the rest of that part is left out');
  return [...found.values()];
}

/** partsOfInput cuts standard input between lines. */
async function* partsOfInput(): AsyncGenerator<string> {
  const { stdin } = io();
  if (stdin.isTTY === true) printErrorLine('Type or paste a text that holds ids. Ctrl-D ends.');
  let part = '';
  stdin.setEncoding('utf8');
  for await (const chunk of stdin as AsyncIterable<string>) {
    for (const line of chunk.split(/(?<=\n)/)) {
      if (part.endsWith('\n') && Buffer.byteLength(part) + Buffer.byteLength(line) > MAX_BYTES) {
        yield part;
        part = '';
      }
      part += line;
      if (Buffer.byteLength(part) > MAX_BYTES)
        throw new Error(`a line of standard input is longer than ${MAX_BYTES} bytes`);
    }
  }
  if (part !== '') yield part;
}

function printIds(ids: readonly ResolvedId[]): void {
  printTable(
    ['ID', 'NUMBER', 'KIND', 'NAME', 'OWNER', 'KEY ID'],
    ids.flatMap(({ text, id, resources }) =>
      resources.length === 0
        ? [[text, String(id), '', 'nothing that you may read', '', '']]
        : resources.map((resource) => [text, String(id), ...cellsOf(resource)]),
    ),
  );
}

function cellsOf({ kind, name, username, accountNumber, keyId, isDeleted }: NamedResource): string[] {
  const owner = username === '' ? accountNumber : `${username}@${accountNumber}`;
  return [isDeleted ? `deleted ${KINDS[kind]}` : KINDS[kind], name, owner, keyId];
}
