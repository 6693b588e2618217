import { InvalidArgumentError, Option, type Command } from 'commander';
import type { SecretReference, TokenReference } from '../client/index.js';
import { allPages, type FetchPage } from './all-pages.js';
import { printJson, printTable, report, timeText } from './io/output.js';
import type { GivenOptions } from './client-options.js';
import { withValidateOnly } from './validation.js';

/** Consumer is what uses a secret or a token, and for what. */
export interface Consumer {
  readonly kind: string;
  readonly consumer: string;
}

export interface GivenRefs {
  readonly attach?: Consumer;
  readonly detach?: Consumer;
}

type Reference = SecretReference | TokenReference;

/** RefsMethods are what the service can do with the references of one secret or token. */
interface RefsMethods {
  readonly attach: (consumer: Consumer) => Promise<unknown>;
  readonly detach: (consumer: Consumer) => Promise<unknown>;
  readonly list: FetchPage<Reference>;
}

/** withRefs adds the options of a command about references. */
export function withRefs(command: Command, example: string): Command {
  return withValidateOnly(command)
    .addOption(
      new Option('--attach <kind=consumer>', `record a consumer, for example ${example}`)
        .argParser(readConsumer)
        .conflicts('detach'),
    )
    .addOption(new Option('--detach <kind=consumer>', 'remove that record').argParser(readConsumer))
    .option('--json', 'print the list, or what was attached or detached, as JSON');
}

/** doRefs attaches, detaches or lists, as the command was told. Gives what prints that. */
export async function doRefs(given: GivenRefs & GivenOptions, methods: RefsMethods): Promise<() => void> {
  const { attach, detach } = given;
  if (attach !== undefined) {
    await methods.attach(attach);
    return () => report(given, { attached: attach }, `Attached ${consumerText(attach)}.`);
  }
  if (detach !== undefined) {
    await methods.detach(detach);
    return () => report(given, { detached: detach }, `Detached ${consumerText(detach)}.`);
  }
  const references = await allPages(methods.list);
  return () => (given.json === true ? printJson(references) : printReferences(references));
}

export function consumerText({ kind, consumer }: Consumer): string {
  return `${kind}=${consumer}`;
}

/** readConsumer reads `kind=consumer`; no kind holds an equals sign. */
function readConsumer(text: string): Consumer {
  const [, kind, consumer] = /^([^=]+)=(.+)$/s.exec(text) ?? [];
  if (kind === undefined || consumer === undefined) {
    throw new InvalidArgumentError('It must be <kind>=<consumer>.');
  }
  return { kind, consumer };
}

function printReferences(references: readonly Reference[]): void {
  printTable(
    ['KIND', 'CONSUMER', 'SINCE'],
    references.map(({ kind, consumer, createdAt }) => [kind, consumer, timeText(createdAt)]),
  );
}
