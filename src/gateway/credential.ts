/** Credential is what a client presents, and the names of the headers that held it. */
export interface Credential {
  /** undefined for a header that is there and holds no token: nobody can have such a key. */
  readonly token: string | undefined;
  readonly headers: readonly string[];
}

const AUTHORIZATION = 'authorization';
/** The scheme in any case. Other schemes are not Keyward's. */
const OF_AUTHORIZATION = /^[ \t]*(?:bearer|token)(?:[ \t]+([!-~]+)[ \t]*|[ \t].*|)$/is;
const OF_ITSELF = /^[ \t]*(?:([!-~]+)[ \t]*|.*)$/s;

/**
 * CredentialFinder finds a client's credential in the headers of its request: after `Bearer` or `Token` in
 * `authorization`, by itself in all others. One that is there twice is one; two that differ are none.
 */
export class CredentialFinder {
  #token: string | undefined;
  #headers: string[] | undefined;
  #isOne = true;

  /** add takes a header of a configured name, in lower case. */
  add(name: string, value: string): void {
    if (value === '') return;
    const read = (name === AUTHORIZATION ? OF_AUTHORIZATION : OF_ITSELF).exec(value);
    if (read === null) return;
    const token = read[1];
    if (this.#headers === undefined) {
      this.#token = token;
      this.#headers = [name];
      return;
    }
    if (token !== this.#token) this.#isOne = false;
    if (!this.#headers.includes(name)) this.#headers.push(name);
  }

  /** found is undefined where nothing was presented. */
  get found(): Credential | undefined {
    if (this.#headers === undefined) return undefined;
    return { token: this.#isOne ? this.#token : undefined, headers: this.#headers };
  }
}
