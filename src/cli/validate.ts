import type { Command } from 'commander';
import { connect, VerdictReason, type KeywardClient, type ValidateTokenResponse } from '../client/index.js';
import { explained } from './io/call-failure.js';
import { clientOptions, warnOfCommandLine, withClientOptions, type GivenOptions } from './client-options.js';
import { givenTexts } from './io/given-texts.js';
import { printJsonLine, printLine } from './io/output.js';
import { addTo } from './repeatable.js';
import { slicesOf } from '../lib/slices.js';

/** Verdict is what the command prints of an answer. */
interface Verdict {
  readonly valid: boolean;
  readonly reason: string;
  readonly keyId: string;
  readonly username: string;
  readonly accountNumber: string;
  /** Only there where the service answered from memory because it cannot reach its database. */
  readonly stale?: true;
}

interface ValidateOptions extends GivenOptions {
  readonly scope?: readonly string[];
}

const HELP = `
Example:
  echo "$KEYWARD_TOKEN" | keyward validate --scope orders:read`;

const BATCH = { maxItems: 1000, maxSize: 512 * 1024 };

/** validateCommand is `keyward validate`. */
export function validateCommand(command: Command): void {
  withClientOptions(command)
    .argument(
      '[token]',
      'the text; with "-" (the default) one text a line is read from standard input, and one verdict a line printed; a line that begins with a quotation mark is a JSON string',
      '-',
    )
    .option('--scope <scope>', 'a scope that it must hold to pass; may be given more than once', addTo)
    .option('--json', 'print verdicts as JSON, one a line')
    .addHelpText('after', HELP)
    .action(async (token: string, { scope: requiredScopes = [], ...given }: ValidateOptions) => {
      if (token !== '-') warnOfCommandLine('the text that is asked about');
      const options = clientOptions(given);
      const client = connect(options);
      const print = (verdict: Verdict): void => {
        if (given.json === true) printJsonLine(verdict);
        else printLine(describe(verdict));
      };
      try {
        if (token === '-') await validateLines(client, requiredScopes, print);
        else print(toVerdict(await client.tokens.validateToken({ token, requiredScopes })));
      } catch (error) {
        throw explained(error, options);
      } finally {
        client.close();
      }
    });
}

/** validateLines answers the lines that have come together, in their order, before it reads on. */
async function validateLines(
  client: KeywardClient,
  requiredScopes: readonly string[],
  print: (verdict: Verdict) => void,
): Promise<void> {
  for await (const tokens of givenTexts()) {
    for (const batch of slicesOf(tokens, ({ length }) => length, BATCH)) {
      const { responses } = await client.tokens.batchValidateTokens({
        requests: batch.map((token) => ({ token, requiredScopes })),
      });
      for (const response of responses) print(toVerdict(response));
    }
  }
}

function toVerdict({ valid, reason, keyId, principal, stale }: ValidateTokenResponse): Verdict {
  return {
    valid,
    reason: VerdictReason[reason].replace('VERDICT_REASON_', ''),
    keyId,
    username: principal?.username ?? '',
    accountNumber: principal?.accountNumber ?? '',
    ...(stale ? { stale } : {}),
  };
}

function describe({ valid, reason, keyId, username, accountNumber, stale }: Verdict): string {
  const verdict = valid
    ? `valid: key ${keyId} of ${username} in account ${accountNumber}`
    : keyId === ''
      ? `refused: ${reason}`
      : `refused: ${reason}, key ${keyId}`;
  return stale === true ? `${verdict} (stale: the service cannot reach its database)` : verdict;
}
