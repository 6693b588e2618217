/** ANSWER_LIMIT_MS is for how long a platform's database may leave a question without an answer, unless told otherwise. */
export const ANSWER_LIMIT_MS = 60_000;

/** SilentPlatform says that no answer came in time. What became of the statement is not known then. */
class SilentPlatform extends Error {
  override readonly name = 'SilentPlatform';

  constructor(limitMs: number) {
    super(`the platform's database has not answered for ${limitMs / 1000} seconds`);
  }
}

/**
 * answered waits for an answer of a platform's database. A network or a server that has fallen silent tells nobody, and
 * whoever asked would wait for ever: where no answer comes in time, `cut` is to cut the connection, since what came later
 * would be taken for the next answer.
 *
 * @throws SilentPlatform where no answer comes in time
 */
export async function answered<T>(answer: Promise<T>, limitMs: number, cut: () => void): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const silence = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => {
      reject(new SilentPlatform(limitMs));
      cut();
    }, limitMs);
  });
  try {
    return await Promise.race([answer, silence]);
  } finally {
    clearTimeout(timer);
  }
}
