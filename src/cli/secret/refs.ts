import type { Command } from 'commander';
import { doRefs, withRefs, type GivenRefs } from '../refs.js';
import type { GivenTarget } from '../target.js';
import { commandAboutSecret, withSecret } from './target.js';

export function refsCommand(): Command {
  return withRefs(commandAboutSecret('refs'), 'provider.api_key=openai')
    .description('List which consumers use a secret, or record that one does.')
    .action(async (text: string, given: GivenTarget & GivenRefs) => {
      const print = await withSecret(text, given, ({ secrets }, selector) =>
        doRefs(given, {
          attach: (consumer) => secrets.attachReference({ selector, ...consumer }),
          detach: (consumer) => secrets.detachReference({ selector, ...consumer }),
          list: async (page) => {
            const listed = await secrets.listReferences({ ...page, secret: selector });
            return { items: listed.references, nextPageToken: listed.nextPageToken };
          },
        }),
      );
      print();
    });
}
