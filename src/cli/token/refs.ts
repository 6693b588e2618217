import type { Command } from 'commander';
import type { TokenConsumers } from '../../client/index.js';
import { consumerText, doRefs, withRefs, type GivenRefs } from '../refs.js';
import type { GivenTarget } from '../target.js';
import { commandAboutToken, withToken } from './target.js';

const HELP = `
Examples:
  keyward token refs checkout
  keyward token refs checkout --attach llm_client.api_key=support-bot`;

export function refsCommand(): Command {
  return withRefs(commandAboutToken('refs'), 'llm_client.api_key=support-bot')
    .description('List which consumers hold a token, or record that one does.')
    .addHelpText('after', HELP)
    .action(async (text: string, given: GivenTarget & GivenRefs) => {
      const print = await withToken(text, given, ({ tokens }, selector) =>
        doRefs(given, {
          attach: (consumer) => tokens.attachReference({ selector, ...consumer }),
          detach: (consumer) => tokens.detachReference({ selector, ...consumer }),
          list: async (page) => {
            const listed = await tokens.listReferences({ ...page, token: selector });
            return { items: listed.references, nextPageToken: listed.nextPageToken };
          },
        }),
      );
      print();
    });
}

/** Holding is an answer that may tell who holds a token. */
interface Holding {
  readonly consumers?: TokenConsumers | undefined;
}

/** consumersText tells people who holds a token, or held it; empty for nobody. */
export function consumersText({ consumers }: Holding): string {
  if (consumers === undefined) return '';
  const { references, count } = consumers;
  const more = count - BigInt(references.length);
  return `${references.map(consumerText).join(', ')}${more > 0n ? ` and ${more} more` : ''}`;
}

/** heldText is a sentence about that, to follow others. */
export function heldText(holding: Holding): string {
  const text = consumersText(holding);
  return text === '' ? '' : ` It is held by ${text}.`;
}
