import type { Connector, Registrations, Session, SessionEvents } from './ports.js';

/**
 * OneDatabase makes sure once that sessions lead to where changes are made. A replica that listened elsewhere would hear
 * of none, and nobody would wait for it: so it gets no session, and never answers from memory.
 */
export class OneDatabase implements Connector {
  readonly #connector: Connector;
  readonly #registrations: Pick<Registrations, 'registered'>;
  #isSure = false;

  constructor(connector: Connector, registrations: Pick<Registrations, 'registered'>) {
    this.#connector = connector;
    this.#registrations = registrations;
  }

  async connect(replica: string, events: SessionEvents, timeoutMs: number): Promise<Session> {
    const session = await this.#connector.connect(replica, events, timeoutMs);
    if (this.#isSure) return session;
    try {
      await this.#makeSure(replica, session);
      return session;
    } catch (error) {
      session.close();
      throw error;
    }
  }

  async #makeSure(replica: string, session: Session): Promise<void> {
    await session.renew({ ttlMs: 0, maxStaleMs: 0, applied: undefined });
    const { replicas } = await this.#registrations.registered();
    if (!replicas.some((each) => each.replica === replica)) {
      throw new Error('changes are listened for in another database than the one in which they are made');
    }
    this.#isSure = true;
  }
}
