import { AsyncLocalStorage } from 'node:async_hooks';

/** Io is what a command reads and writes, besides files and the network. The process is one. */
export interface Io {
  readonly env: NodeJS.ProcessEnv;
  readonly stdin: NodeJS.ReadableStream & { readonly isTTY?: boolean };
  readonly stdout: Output;
  readonly stderr: Output;
}

interface Output {
  readonly isTTY?: boolean;
  write(chunk: string | Uint8Array): unknown;
}

const given = new AsyncLocalStorage<Io>();

/**
 * withIo runs a command with an Io of its own, so that several can run in one process. The process's own Io needs no storage,
 * and with one Node, before 24, would spend a tenth of each call on carrying it along.
 */
export function withIo<T>(io: Io, command: () => T): T {
  return io === process && given.getStore() === undefined ? command() : given.run(io, command);
}

/** io is that of the command that runs here. */
export function io(): Io {
  return given.getStore() ?? process;
}
