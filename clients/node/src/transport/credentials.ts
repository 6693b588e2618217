import { readFileSync, statSync } from 'node:fs';
import { systemClocks } from './clock.js';

/** How long a token that was read from a file is taken without a look whether the file has changed. */
const FRESH_MS = 1_000;

export interface TokenOptions {
  /** The caller's own token, sent as `authorization: Bearer`. */
  readonly token?: string;
  /** A file with that token. It is read again when it has changed, as mounted secrets do. */
  readonly tokenFile?: string;
  /** Gives that token for each call. */
  readonly getToken?: () => string | Promise<string>;
}

/** TokenSource gives the caller's own token. */
export interface TokenSource {
  /** get gives the token of a call; undefined where the caller has none. */
  get(): string | undefined | Promise<string | undefined>;
  /** refused tells that the token was refused, and whether there may be another one now. */
  refused(): boolean;
}

/**
 * tokenSource makes a source of what was given.
 *
 * @throws Error if several were given, or the token cannot be sent, or the file cannot be read
 */
export function tokenSource(options: TokenOptions): TokenSource {
  const { token, tokenFile, getToken } = options;
  const given = [token, tokenFile, getToken].filter((each) => each !== undefined);
  if (given.length > 1) throw new Error('give one of token, tokenFile and getToken');
  if (tokenFile !== undefined) return new TokenFile(tokenFile);
  if (getToken !== undefined)
    return {
      get: async () => sendable(await getToken()),
      refused: () => true,
    };
  const own = token === undefined ? undefined : sendable(token);
  return { get: () => own, refused: () => false };
}

/** sendable lets through what a header can carry. The library's own refusal would quote the token. */
function sendable(token: string): string {
  if (!/^[\x20-\x7e]*$/.test(token))
    throw new Error("the caller's token holds characters that no header can carry");
  return token;
}

class TokenFile implements TokenSource {
  readonly #file: string;
  #token = '';
  #version = '';
  #lookedAt = -Infinity;

  constructor(file: string) {
    this.#file = file;
    this.#look();
  }

  get(): string {
    if (systemClocks.monotonicMs() - this.#lookedAt > FRESH_MS) this.#lookAgain();
    return this.#token;
  }

  refused(): boolean {
    const before = this.#token;
    this.#lookAgain();
    return this.#token !== before;
  }

  /** A file that is being replaced may not be there for a moment: the token from before goes on until it is. */
  #lookAgain(): void {
    try {
      this.#look();
    } catch {
      this.#lookedAt = systemClocks.monotonicMs();
    }
  }

  #look(): void {
    const { mtimeMs, ino, size } = statSync(this.#file);
    const version = `${mtimeMs} ${ino} ${size}`;
    if (version !== this.#version) {
      const token = readFileSync(this.#file, 'utf8').trim();
      if (token === '') throw new Error(`${this.#file} holds no token`);
      this.#token = sendable(token);
      this.#version = version;
    }
    this.#lookedAt = systemClocks.monotonicMs();
  }
}
