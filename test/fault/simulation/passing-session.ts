import type { Connector, Head, LeaseTerms, ServerHead, Session } from '../../../src/coherence/ports.js';
import type { SimulatedConnector, SimulatedSession } from './connection.js';

/** PassingSession does what a session does; a broken one does one thing otherwise. */
export class PassingSession implements Session {
  protected readonly session: SimulatedSession;

  constructor(session: SimulatedSession) {
    this.session = session;
  }

  listen(): Promise<void> {
    return this.session.listen();
  }

  renew(terms: LeaseTerms): Promise<bigint> {
    return this.session.renew(terms);
  }

  head(): Promise<ServerHead> {
    return this.session.head();
  }

  noticesAfter(after: Head, upTo: bigint): ReturnType<Session['noticesAfter']> {
    return this.session.noticesAfter(after, upTo);
  }

  acknowledge(...told: Parameters<Session['acknowledge']>): Promise<void> {
    return this.session.acknowledge(...told);
  }

  endEpoch(epoch: string): Promise<void> {
    return this.session.endEpoch(epoch);
  }

  leave(): Promise<void> {
    return this.session.leave();
  }

  close(): void {
    this.session.close();
  }
}

/** each changes every session of a connector. */
export function each(
  connector: SimulatedConnector,
  change: (session: SimulatedSession) => Session,
): Connector {
  return {
    connect: async (replica, events, timeoutMs) =>
      change(await connector.connect(replica, events, timeoutMs)),
  };
}
