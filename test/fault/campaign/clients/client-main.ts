import { Asking } from './asking.js';
import type { ClientCommand, ClientOptions, ClientReport, Known } from './commands.js';
import { ownWallClock, stepWallClock } from './wall-clock.js';
import type * as Client from '@keyward/client';

/**
 * A process of a service that judges tokens in its own memory. It asks all the time, and reports what it was answered.
 */
const REPORT_EVERY_MS = 20;

// Before anything of the client is loaded.
ownWallClock();

let asking: Asking | undefined;

process.on('message', (command: ClientCommand) => {
  void handle(command);
});
process.on('disconnect', () => process.exit());

async function handle(command: ClientCommand): Promise<void> {
  if ('open' in command) await open(command.open);
  else if ('stepClock' in command) stepWallClock(command.stepClock);
  else if ('know' in command) asking?.know(command.know);
  else if ('follow' in command) asking?.follow(command.follow);
  else if ('count' in command) report({ held: countHeld(command.count) });
  else finish();
}

async function open(options: ClientOptions): Promise<void> {
  const { connect, createValidator } = (await import(options.module ?? '@keyward/client')) as typeof Client;
  const { servers, token, timeoutMs, label } = options;
  const client = connect({ servers: [...servers], token, timeoutMs });
  asking = new Asking(client, createValidator(client, { label }), options);
  report({ opened: true });
  setInterval(tell, REPORT_EVERY_MS);
  void asking.run();
}

function countHeld(known: readonly Known[]): number {
  return known.filter((each) => asking?.isHeld(each) === true).length;
}

function tell(): void {
  const said = asking?.taken() ?? [];
  if (said.length > 0) report({ said });
}

function finish(): void {
  asking?.finish();
  tell();
  process.send?.({ finished: true } satisfies ClientReport, () => process.exit());
}

function report(message: ClientReport): void {
  process.send?.(message);
}
