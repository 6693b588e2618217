import { Command } from 'commander';
import { withClientOptions, type GivenOptions } from './client-options.js';

/** GivenList is how a command is told which resources to list, and in which order. */
export interface GivenList extends GivenOptions {
  readonly filter?: string;
  readonly orderBy?: string;
}

/** listCommandWith begins a command that lists resources, with an example of a filter. */
export function listCommandWith(example: string): Command {
  return withClientOptions(new Command('list'))
    .option('--filter <text>', `comparisons joined by AND, for example '${example}'`)
    .option('--order-by <fields>', 'for example "expires_at desc, id"')
    .option('--json', 'print the list as JSON');
}
