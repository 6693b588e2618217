/** PeriodicTask runs something again and again, never two at once. The work tells of its failures itself: it must not reject. */
export class PeriodicTask {
  readonly #work: () => Promise<void>;
  #timer: NodeJS.Timeout | undefined;
  #running: Promise<void> = Promise.resolve();

  constructor(work: () => Promise<void>) {
    this.#work = work;
  }

  /** start runs it every `intervalMs`, until stopped. It does not keep the process alive. */
  start(intervalMs: number): void {
    this.#timer = setInterval(() => void this.run(), intervalMs).unref();
  }

  /** run runs it once more, after those before. */
  run(): Promise<void> {
    this.#running = this.#running.then(this.#work);
    return this.#running;
  }

  /** stop waits for what is under way. */
  async stop(): Promise<void> {
    clearInterval(this.#timer);
    await this.#running;
  }

  /** finish stops it, and runs it a last time: for work that writes what has gathered. */
  async finish(): Promise<void> {
    await this.stop();
    await this.run();
  }
}
