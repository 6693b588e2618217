import { Command, CommanderError } from 'commander';
import { serviceVersion } from '../lib/version.js';
import { withIo, type Io } from './io/io.js';
import { printErrorText, printText } from './io/output.js';

/** Entry is a command: its line in the help, and how its options and its action are added. */
interface Entry {
  readonly description: string;
  readonly load: () => Promise<(command: Command) => void>;
}

/**
 * COMMANDS are all there are. Each is loaded when it is asked for: together they need a database's drivers, the gRPC
 * library and more, and a health check runs every few seconds.
 */
const COMMANDS: Readonly<Record<string, Entry>> = {
  serve: {
    description:
      'Serve until stopped. Settings come from the environment; without any, everything runs on this machine.',
    load: async () => (await import('./serve/serve.js')).serveCommand,
  },
  migrate: {
    description: 'Bring the schema of the database up to date (DATABASE_URL, or the embedded one).',
    load: async () => (await import('./migrate.js')).migrateCommand,
  },
  bootstrap: {
    description:
      'Make the platform account, the superuser "admin" and a token of theirs, and print the token, this once.',
    load: async () => (await import('./bootstrap.js')).bootstrapCommand,
  },
  'upgrade-database': {
    description: "Bring the embedded database of KEYWARD_DATA_DIR to this Keyward's version of PostgreSQL.",
    load: async () => (await import('./upgrade-database.js')).upgradeDatabaseCommand,
  },
  'import-smarter': {
    description: "Take accounts, users, API keys and secrets over from a Smarter platform's database.",
    load: async () => (await import('./import-smarter.js')).importSmarterCommand,
  },
  'export-smarter': {
    description: "Write what was made and changed in Keyward back into a Smarter platform's database.",
    load: async () => (await import('./export-smarter.js')).exportSmarterCommand,
  },
  shadow: {
    description: 'Compare the verdicts that a Smarter platform gives with those that Keyward gives.',
    load: async () => (await import('./shadow.js')).shadowCommand,
  },
  audit: {
    description: 'Check the audit log.',
    load: async () => (await import('./audit.js')).auditCommand,
  },
  keys: {
    description: 'Make encryption keys for secrets, and encrypt the secrets with another one.',
    load: async () => (await import('./keys.js')).keysCommand,
  },
  secret: {
    description: 'Keep secrets, and read their values. Only "access" shows a value.',
    load: async () => (await import('./secret/secret.js')).secretCommand,
  },
  token: {
    description: 'Make tokens, look at them, change and revoke them. A token is an API key.',
    load: async () => (await import('./token/token.js')).tokenCommand,
  },
  apply: {
    description:
      'Make and change tokens, secrets, accounts, users and user profiles as documents describe them.',
    load: async () => (await import('./manifest/apply.js')).applyCommand,
  },
  get: {
    description: 'Show one of them as a document, which "apply" takes.',
    load: async () => (await import('./manifest/get.js')).getCommand,
  },
  diff: {
    description: 'Show what "apply" would change, and change nothing.',
    load: async () => (await import('./manifest/diff.js')).diffCommand,
  },
  validate: {
    description:
      'Ask a running service whether texts are tokens that may pass. A refusal is an answer, not a failure.',
    load: async () => (await import('./validate.js')).validateCommand,
  },
  resolve: {
    description: 'Tell what the hashed ids and record locators in a text stand for.',
    load: async () => (await import('./resolve.js')).resolveCommand,
  },
  status: {
    description: 'Show the processes of the service, their leases and their clients.',
    load: async () => (await import('./status.js')).statusCommand,
  },
  call: {
    description:
      'Call any method of a running service, JSON in and JSON out. A stream is printed as it comes.',
    load: async () => (await import('./call.js')).callCommand,
  },
  health: {
    description: 'Ask a running service for its health; succeeds only if it is SERVING.',
    load: async () => (await import('./health.js')).healthCommand,
  },
};

/** run runs the command of a command line, and gives the status to exit with. */
export function run(args: readonly string[], io: Io = process): Promise<number> {
  return withIo(io, async () => {
    const program = await programFor(args);
    try {
      await program.parseAsync(args, { from: 'user' });
      return 0;
    } catch (error) {
      // Help and usage are printed by then.
      if (error instanceof CommanderError) return error.exitCode;
      const { Validated } = await import('./validation.js');
      if (error instanceof Validated) {
        printText(error.asJson ? '{ "valid": true }\n' : `${error.message}\n`);
        return 0;
      }
      const { failureLine } = await import('./io/failure.js');
      printErrorText(`${failureLine(error)}\n`);
      return 1;
    }
  });
}

/** programFor loads the commands that the arguments name; of the others it knows the line in the help. */
async function programFor(args: readonly string[]): Promise<Command> {
  const program = new Command('keyward')
    .description(
      'Keeps API keys and secrets for a platform of other services: judges the keys, and gives the secrets out.',
    )
    .version(serviceVersion())
    .showHelpAfterError('(add --help for what is possible)');
  for (const [name, { description, load }] of Object.entries(COMMANDS)) {
    const command = new Command(name).description(description);
    if (args.includes(name)) (await load())(command);
    program.addCommand(command);
  }
  prepare(program);
  return program;
}

/**
 * prepare lets commander's own texts, which quote arguments, take the same way to the terminal as all others, and lets
 * it throw where it would end the process.
 */
function prepare(command: Command): void {
  command.configureOutput({ writeOut: printText, writeErr: printErrorText }).exitOverride();
  for (const subcommand of command.commands) prepare(subcommand);
}
