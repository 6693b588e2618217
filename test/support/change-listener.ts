import pg from 'pg';

/** HeardNotice is what a notification says, as it was sent. */
export interface HeardNotice {
  readonly revision: string;
  readonly epoch: string;
  readonly all: boolean;
  readonly digests: string[];
  readonly users: string[];
  readonly accounts: string[];
  readonly profiles: string[];
  readonly secrets?: string[];
  readonly all_secrets?: true;
  readonly barriers: { readonly id: string; readonly writer: string }[];
}

/** ChangeListener hears what the database says of changes, and is sure to have heard all. */
export class ChangeListener {
  readonly #client: pg.Client;
  #heard: string[] = [];
  #fences = 0;
  #pass: () => void = () => undefined;

  private constructor(client: pg.Client) {
    this.#client = client;
    client.on('notification', ({ payload = '' }) => {
      if (payload === `fence-${this.#fences}`) this.#pass();
      else this.#heard.push(payload);
    });
  }

  static async open(url: string): Promise<ChangeListener> {
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    await client.query('LISTEN keyward_changes');
    return new ChangeListener(client);
  }

  /** take gives what was notified since it was last called: notifications come in the order of commits, so its own comes last. */
  async take(): Promise<HeardNotice[]> {
    this.#fences += 1;
    const passed = new Promise<void>((resolve) => (this.#pass = resolve));
    await this.#client.query('SELECT pg_notify($1, $2)', ['keyward_changes', `fence-${this.#fences}`]);
    await passed;
    const heard = this.#heard;
    this.#heard = [];
    return heard.map((payload) => JSON.parse(payload) as HeardNotice);
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}
