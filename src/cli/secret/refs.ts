import { InvalidArgumentError, Option, type Command } from 'commander';
import type { KeywardClient, SecretReference, SecretSelector } from '../../client/index.js';
import { allPages } from '../all-pages.js';
import { printJson, printTable, report, timeText } from '../io/output.js';
import type { GivenTarget } from '../target.js';
import { commandAboutSecret, withSecret } from './target.js';

interface Consumer {
  readonly kind: string;
  readonly consumer: string;
}

interface RefsOptions extends GivenTarget {
  readonly attach?: Consumer;
  readonly detach?: Consumer;
}

export function refsCommand(): Command {
  return commandAboutSecret('refs')
    .description('List which consumers use a secret, or record that one does.')
    .addOption(
      new Option('--attach <kind=consumer>', 'record a consumer, for example provider.api_key=openai')
        .argParser(readConsumer)
        .conflicts('detach'),
    )
    .addOption(new Option('--detach <kind=consumer>', 'remove that record').argParser(readConsumer))
    .option('--json', 'print the list, or what was attached or detached, as JSON')
    .action(async (text: string, given: RefsOptions) => {
      const { attach, detach } = given;
      await withSecret(text, given, async (client, selector) => {
        if (attach !== undefined) {
          await client.secrets.attachReference({ selector, ...attach });
          report(given, { attached: attach }, `Attached ${consumerText(attach)}.`);
        } else if (detach !== undefined) {
          await client.secrets.detachReference({ selector, ...detach });
          report(given, { detached: detach }, `Detached ${consumerText(detach)}.`);
        } else {
          const references = await list(client, selector);
          if (given.json === true) printJson(references);
          else printReferences(references);
        }
      });
    });
}

/** readConsumer reads `kind=consumer`; no kind holds an equals sign. */
function readConsumer(text: string): Consumer {
  const [, kind, consumer] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (kind === undefined || consumer === undefined) {
    throw new InvalidArgumentError('It must be <kind>=<consumer>.');
  }
  return { kind, consumer };
}

function consumerText({ kind, consumer }: Consumer): string {
  return `${kind}=${consumer}`;
}

function list({ secrets }: KeywardClient, secret: SecretSelector): Promise<SecretReference[]> {
  return allPages(async (page) => {
    const { references: items, nextPageToken } = await secrets.listReferences({ ...page, secret });
    return { items, nextPageToken };
  });
}

function printReferences(references: readonly SecretReference[]): void {
  printTable(
    ['KIND', 'CONSUMER', 'SINCE'],
    references.map(({ kind, consumer, createdAt }) => [kind, consumer, timeText(createdAt)]),
  );
}
