import type { CoherenceMetrics } from '../telemetry/coherence-metrics.js';
import type { Connector, Session, SessionEvents } from './ports.js';

/** CountingConnector counts what goes on in the sessions of another connector. */
export class CountingConnector implements Connector {
  readonly #connector: Connector;
  readonly #metrics: Pick<CoherenceMetrics, 'acknowledged' | 'reconnected'>;
  #hasConnected = false;

  constructor(connector: Connector, metrics: Pick<CoherenceMetrics, 'acknowledged' | 'reconnected'>) {
    this.#connector = connector;
    this.#metrics = metrics;
  }

  async connect(replica: string, events: SessionEvents, timeoutMs: number): Promise<Session> {
    const metrics = this.#metrics;
    const counting: SessionEvents = {
      onNotice: (notice) => {
        events.onNotice(notice);
      },
      onAcknowledged: (sender, settled, clients) => {
        metrics.acknowledged('received');
        events.onAcknowledged(sender, settled, clients);
      },
      onLost: (error) => {
        events.onLost(error);
      },
    };
    const session = await this.#connector.connect(replica, counting, timeoutMs);
    if (this.#hasConnected) metrics.reconnected();
    this.#hasConnected = true;
    return {
      listen: () => session.listen(),
      renew: (terms) => session.renew(terms),
      head: () => session.head(),
      noticesAfter: (after, upTo) => session.noticesAfter(after, upTo),
      acknowledge: async (writers, settled, clients) => {
        await session.acknowledge(writers, settled, clients);
        for (const _ of writers) metrics.acknowledged('sent');
      },
      endEpoch: (epoch) => session.endEpoch(epoch),
      leave: () => session.leave(),
      close: () => {
        session.close();
      },
    };
  }
}
