import pg from 'pg';
import { ListenSession } from '../db/listen-session.js';
import { readAcknowledgement, readNotice, writeAcknowledgement } from './notice.js';
import type {
  ClientsTold,
  Connector,
  Description,
  Head,
  LeaseTerms,
  Notice,
  ServerHead,
  Session,
  SessionEvents,
} from './ports.js';

const CHANGES = 'keyward_changes';
const ACKNOWLEDGEMENTS = 'keyward_acks_';

/** SessionConnector makes the sessions by which a replica follows the changes of all. */
export class SessionConnector implements Connector {
  readonly #url: string;
  readonly #keyId: string;
  readonly #describe: () => Description;

  /**
   * `url` must lead to the database of the service, and to a session of its own there. `keyId` is the key that the
   * process encrypts with: a key is only retired when no replica has it first any more. `describe` is what is registered for
   * people.
   */
  constructor(url: string, keyId: string, describe: () => Description) {
    this.#url = url;
    this.#keyId = keyId;
    this.#describe = describe;
  }

  async connect(replica: string, events: SessionEvents, timeoutMs: number): Promise<Session> {
    const session = await ListenSession.open({
      url: this.#url,
      timeoutMs,
      onNotification: (channel, payload) => {
        dispatch(events, channel, payload);
      },
      onLost: (error) => {
        events.onLost(error);
      },
    });
    return new SessionRepository(session, replica, this.#keyId, this.#describe);
  }
}

/** dispatch throws, and thereby ends the session, where it cannot be known which change a notice tells of. */
function dispatch(events: SessionEvents, channel: string, payload: string): void {
  if (channel === CHANGES) {
    events.onNotice(existing(readNotice(payload)));
    return;
  }
  const acknowledgement = readAcknowledgement(payload);
  // Without it a writer waits longer, and no more.
  if (acknowledgement === undefined) return;
  const { replica, clients, ...settled } = acknowledgement;
  events.onAcknowledged(replica, settled, clients);
}

/** SessionRepository is every statement that a replica sends on its session. */
class SessionRepository implements Session {
  readonly #session: ListenSession;
  readonly #replica: string;
  readonly #keyId: string;
  readonly #describe: () => Description;

  constructor(session: ListenSession, replica: string, keyId: string, describe: () => Description) {
    this.#session = session;
    this.#replica = replica;
    this.#keyId = keyId;
    this.#describe = describe;
  }

  async listen(): Promise<void> {
    const channels = [CHANGES, ACKNOWLEDGEMENTS + this.#replica].map((channel) =>
      pg.escapeIdentifier(channel),
    );
    for (const channel of channels) await this.#session.query(`LISTEN ${channel}`);
  }

  /** renew registers under the epoch of the database; what was applied in another counts for nothing. */
  async renew({ ttlMs, maxStaleMs, applied }: LeaseTerms): Promise<bigint> {
    const { version, clients, groups } = this.#describe();
    const [row] = await this.#session.query(
      `INSERT INTO replicas (id, lease_expires_at, max_stale, applied, key_id, epoch, renewals,
         version, clients, client_groups)
       SELECT $1, clock_timestamp() + $2::float8 * interval '1 ms', $3::float8 * interval '1 ms',
         CASE WHEN e.epoch = $4::uuid THEN $5::bigint ELSE 0 END, $6, e.epoch, 1, $7, $8::int, $9::jsonb
       FROM keyward_epoch() e
       ON CONFLICT (id) DO UPDATE
       SET lease_expires_at = clock_timestamp() + $2::float8 * interval '1 ms',
         max_stale = excluded.max_stale, applied = excluded.applied, key_id = excluded.key_id,
         epoch = excluded.epoch, renewals = replicas.renewals + 1, version = excluded.version,
         clients = excluded.clients, client_groups = excluded.client_groups
       RETURNING renewals::text`,
      [
        this.#replica,
        ttlMs,
        maxStaleMs,
        applied?.epoch ?? null,
        String(applied?.revision ?? 0n),
        this.#keyId,
        version,
        clients,
        JSON.stringify(groups),
      ],
    );
    return BigInt(String(row?.['renewals']));
  }

  async head(): Promise<ServerHead> {
    const [row] = await this.#session.query('SELECT epoch::text, revision::text, server FROM keyward_head()');
    return {
      epoch: String(row?.['epoch']),
      revision: BigInt(String(row?.['revision'])),
      server: String(row?.['server']),
    };
  }

  async noticesAfter({ epoch, revision }: Head, upTo: bigint): Promise<readonly Notice[] | 'pruned'> {
    const rows = await this.#session.query(
      `SELECT (notice || jsonb_build_object('revision', revision::text, 'epoch', $3::text))::text AS notice
       FROM change_feed WHERE revision > $1 AND revision <= $2 ORDER BY revision`,
      [String(revision), String(upTo), epoch],
    );
    if (BigInt(rows.length) !== upTo - revision) return 'pruned';
    return rows.map(({ notice }) => existing(readNotice(String(notice))));
  }

  async acknowledge(
    writers: readonly string[],
    settled: Head,
    clients: readonly ClientsTold[],
  ): Promise<void> {
    await this.#session.query('SELECT pg_notify($1 || writer, $2) FROM unnest($3::text[]) AS writer', [
      ACKNOWLEDGEMENTS,
      writeAcknowledgement({ ...settled, clients, replica: this.#replica }),
      writers,
    ]);
  }

  async endEpoch(epoch: string): Promise<void> {
    await this.#session.query('SELECT keyward_end_epoch($1)', [epoch]);
  }

  async leave(): Promise<void> {
    await this.#session.query('DELETE FROM replicas WHERE id = $1', [this.#replica]);
  }

  close(): void {
    this.#session.close();
  }
}

function existing(notice: Notice | undefined): Notice {
  if (notice === undefined) throw new Error('a notice without a revision or an epoch');
  return notice;
}
