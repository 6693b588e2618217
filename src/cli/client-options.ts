import { join } from 'node:path';
import type { Command } from 'commander';
import { DEFAULT_SERVER, type ClientOptions } from '../client/channel.js';
import { SETTINGS } from '../config.js';
import { readPrivately } from '../lib/private-file.js';

/** GivenOptions are the options of such a command, as the command line gives them. */
export interface GivenOptions {
  readonly server?: string;
  readonly token?: string;
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly json?: true;
}

/** withClientOptions adds the options that every command has that asks a running service. */
export function withClientOptions(command: Command): Command {
  return command
    .option(
      '--server <host:port>',
      `the service to ask (or KEYWARD_SERVER, or where KEYWARD_LISTEN is; ${DEFAULT_SERVER})`,
    )
    .option(
      '--token <token>',
      "the caller's own token (better: KEYWARD_TOKEN, or the data directory's admin-token file)",
    )
    .option('--ca <file>', "authorities to check the server's certificate against, PEM; without it no TLS")
    .option('--cert <file>', "the caller's certificate, PEM")
    .option('--key <file>', "the private key of the caller's certificate, PEM");
}

/** clientOptions completes what was given on the command line from the environment and the admin-token file. */
export function clientOptions(given: GivenOptions): ClientOptions {
  const server = given.server ?? process.env['KEYWARD_SERVER'] ?? ownServer();
  const token = given.token ?? process.env['KEYWARD_TOKEN'] ?? adminToken();
  return {
    ...(server === undefined ? {} : { server }),
    ...(token === undefined ? {} : { token }),
    ...(given.ca === undefined ? {} : { ca: given.ca }),
    ...(given.cert === undefined ? {} : { cert: given.cert }),
    ...(given.key === undefined ? {} : { key: given.key }),
  };
}

/** ownServer is where a server with these same settings can be reached from its own machine. */
function ownServer(): string | undefined {
  const { variable } = SETTINGS.listen;
  return process.env[variable]?.replace(/^(0\.0\.0\.0|\[::\]):/, '127.0.0.1:');
}

/** adminTokenFile is where the embedded mode keeps the admin token. */
export function adminTokenFile(dataDir: string): string {
  return join(dataDir, 'admin-token');
}

function adminToken(): string | undefined {
  const { variable, default: fallback } = SETTINGS.dataDir;
  return readPrivately(adminTokenFile(process.env[variable] ?? fallback))?.trim();
}
