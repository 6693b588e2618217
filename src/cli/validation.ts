import type { Command } from 'commander';
import type { KeywardClient } from '../client/index.js';

/** GivenValidation is how a command is told to check a change alone. */
export interface GivenValidation {
  readonly validateOnly?: true;
}

/** withValidateOnly adds the option of commands that change something. */
export function withValidateOnly(command: Command): Command {
  return command.option('--validate-only', 'check all that could make it fail, and change nothing');
}

/** Validated ends a command whose changes were to be checked alone, and can be made. */
export class Validated extends Error {
  override readonly name = 'Validated';
  readonly asJson: boolean;

  constructor(asJson: boolean) {
    super('Valid. Nothing was changed.');
    this.asJson = asJson;
  }
}

/** NothingSent is an answer without what a command goes on with: those to calls that are checked alone are empty. */
export class NothingSent extends Error {
  override readonly name = 'NothingSent';

  constructor(what: string) {
    super(`the service sent no ${what}`);
  }
}

type Call = (request: object) => unknown;

/** Methods that change nothing. */
const READING = /^(get|list)/;

/**
 * validate runs what changes something with a client whose changes are checked alone, and throws Validated if all can be
 * made.
 */
export async function validate(
  client: KeywardClient,
  asJson: boolean,
  use: (client: KeywardClient) => Promise<unknown>,
): Promise<never> {
  let changes = 0;
  const checking =
    (name: string, method: Call): Call =>
    (request) => {
      if (READING.test(name)) return method(request);
      changes += 1;
      return method({ ...request, validateOnly: true });
    };
  const services = Object.entries(client).map(([service, methods]) => [
    service,
    Object.fromEntries(
      Object.entries(methods as Readonly<Record<string, Call>>).map(([name, method]) => [
        name,
        checking(name, method),
      ]),
    ),
  ]);
  try {
    await use({ ...client, ...Object.fromEntries(services) } as KeywardClient);
  } catch (error) {
    if (!(error instanceof NothingSent)) throw error;
  }
  if (changes === 0) throw new Error('--validate-only goes with a change');
  throw new Validated(asJson);
}
