import { LoadGenerator, type Load, type Until } from './load.js';

/** The process of one load. It is told where to, then when to run, and answers with results. */
export type LoadCommand =
  { readonly open: { readonly port: number; readonly load: Load } } | { readonly run: Until };

let generator: LoadGenerator | undefined;

process.on('message', (command: LoadCommand) => {
  void handle(command).then((answer) => process.send?.(answer));
});

async function handle(command: LoadCommand): Promise<object> {
  if ('open' in command) {
    generator = await LoadGenerator.open(command.open.port, command.open.load);
    return {};
  }
  if (generator === undefined) throw new Error('run before open');
  return generator.run(command.run);
}
