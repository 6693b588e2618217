import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { DEFAULT_SERVER, isLoopback } from '@keyward/client/transport';
import { Option, type Command } from 'commander';
import type { ClientOptions } from '../client/channel.js';
import { SETTINGS } from '../config.js';
import { readPrivately } from '../lib/private-file.js';
import { io } from './io/io.js';
import { warn } from './io/output.js';
import type { GivenValidation } from './validation.js';

/** The bits of a file's mode that let others than its owner and group in. */
const OTHERS = 0o007;

/** GivenOptions are the options of such a command, as the command line gives them. */
export interface GivenOptions extends GivenValidation {
  readonly server?: string;
  readonly token?: string;
  readonly tokenFile?: string;
  readonly tls?: true;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly plaintext?: true;
  readonly proxy?: true;
  readonly json?: true;
}

/** withClientOptions adds the options that every command has that asks a running service. */
export function withClientOptions(command: Command): Command {
  return (
    command
      .option(
        '--server <host:port>',
        `the service to ask (or KEYWARD_SERVER, or where KEYWARD_LISTEN is; ${DEFAULT_SERVER})`,
      )
      .option(
        '--token-file <file>',
        "file with the caller's own token (or KEYWARD_TOKEN, or the data directory's admin-token file on this machine)",
      )
      .addOption(
        new Option('--token <token>', 'the token itself, where nobody else can see command lines').conflicts(
          'tokenFile',
        ),
      )
      .option(
        '--tls',
        'use TLS on this machine too; on any other address it is used unless --plaintext is given',
      )
      .option(
        '--ca <file>',
        "authorities to check the server's certificate against, PEM (this machine's); means --tls",
      )
      .option('--cert <file>', "the caller's certificate, PEM; means --tls")
      .option('--key <file>', "the private key of the caller's certificate, PEM")
      .option('--plaintext', 'send everything unencrypted, the token too')
      .option('--proxy', 'connect through the proxy of grpc_proxy, https_proxy or http_proxy, with TLS')
      // What the gRPC library uses of Node that is deprecated is nothing that users of a command can change.
      .hook('preAction', () => {
        process.noDeprecation = true;
      })
  );
}

/** CommandOptions are those of the client, and how to tell that a change can be made, if it is to be checked alone. */
export type CommandOptions = ClientOptions & { readonly validateOnly?: 'text' | 'json' };

/** clientOptions completes what was given on the command line from the environment and the admin-token file. */
export function clientOptions(given: GivenOptions): CommandOptions {
  const { ca, cert, key, tls, plaintext, proxy, validateOnly } = given;
  const server = givenServer(given) ?? ownServer();
  const token =
    givenToken(given) ?? io().env['KEYWARD_TOKEN'] ?? (asksOwnServer(given) ? adminToken() : undefined);
  return {
    ...(server === undefined ? {} : { server }),
    ...(token === undefined ? {} : { token }),
    ...(tls === undefined ? {} : { tls }),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
    ...(plaintext === undefined ? {} : { plaintext }),
    ...(proxy === undefined ? {} : { proxy }),
    ...(validateOnly === undefined ? {} : { validateOnly: given.json === true ? 'json' : 'text' }),
  };
}

/** asksOwnServer tells whether the service is the one of this machine, whose token and settings are at hand. */
export function asksOwnServer(given: GivenOptions): boolean {
  const server = givenServer(given);
  return server === undefined || isLoopback(server);
}

function givenServer({ server }: GivenOptions): string | undefined {
  return server ?? io().env['KEYWARD_SERVER'];
}

function givenToken({ token, tokenFile }: GivenOptions): string | undefined {
  if (token !== undefined) warnOfCommandLine('--token');
  return tokenFile === undefined ? token : readTokenFile(tokenFile);
}

/** warnOfCommandLine tells whoever sits at a terminal what others on the machine can see. */
export function warnOfCommandLine(what: string): void {
  if (io().stderr.isTTY === true) warn(`others on this machine can see ${what} in the list of processes`);
}

/** readTokenFile reads a file with one token. Mounted ones are often readable by all, so that is only told. */
function readTokenFile(file: string): string {
  const token = readFileSync(file, 'utf8').trim();
  if (token === '') throw new Error(`${file} holds no token`);
  if ((statSync(file).mode & OTHERS) !== 0)
    warn(`others on this machine can read or replace ${file}: chmod 600`);
  return token;
}

/** ownServer is where a server with these same settings can be reached from its own machine. */
function ownServer(): string | undefined {
  const { variable } = SETTINGS.listen;
  return io().env[variable]?.replace(/^(0\.0\.0\.0|\[::\]):/, '127.0.0.1:');
}

/** adminTokenFile is where the embedded mode keeps the admin token. */
export function adminTokenFile(dataDir: string): string {
  return join(dataDir, 'admin-token');
}

/** ownAdminTokenFile is that of the data directory which the environment names. */
export function ownAdminTokenFile(): string {
  const { variable, default: fallback } = SETTINGS.dataDir;
  return adminTokenFile(io().env[variable] ?? fallback);
}

export function adminToken(): string | undefined {
  return readPrivately(ownAdminTokenFile())?.trim();
}
