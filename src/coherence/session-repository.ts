import pg from 'pg';
import { ListenSession } from '../db/listen-session.js';
import { readAcknowledgement, readNotice, writeAcknowledgement } from './notice.js';
import type { Connector, LeaseTerms, Notice, Session, SessionEvents } from './ports.js';

const CHANGES = 'keyward_changes';
const ACKNOWLEDGEMENTS = 'keyward_acks_';

/** SessionConnector makes the sessions by which a replica follows the changes of all. */
export class SessionConnector implements Connector {
  readonly #url: string;
  readonly #keyId: string;

  /**
   * `url` must lead to the database of the service, and to a session of its own there. `keyId` is the key that the
   * process encrypts with: a key is only retired when no replica has it first any more.
   */
  constructor(url: string, keyId: string) {
    this.#url = url;
    this.#keyId = keyId;
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
    return new SessionRepository(session, replica, this.#keyId);
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
  if (acknowledgement !== undefined) events.onAcknowledged(acknowledgement.replica, acknowledgement.revision);
}

/** SessionRepository is every statement that a replica sends on its session. */
class SessionRepository implements Session {
  readonly #session: ListenSession;
  readonly #replica: string;
  readonly #keyId: string;

  constructor(session: ListenSession, replica: string, keyId: string) {
    this.#session = session;
    this.#replica = replica;
    this.#keyId = keyId;
  }

  async listen(): Promise<void> {
    const channels = [CHANGES, ACKNOWLEDGEMENTS + this.#replica].map((channel) =>
      pg.escapeIdentifier(channel),
    );
    for (const channel of channels) await this.#session.query(`LISTEN ${channel}`);
  }

  async renew({ ttlMs, maxStaleMs, applied }: LeaseTerms): Promise<void> {
    await this.#session.query(
      `INSERT INTO replicas (id, lease_expires_at, max_stale, applied, key_id)
       VALUES ($1, clock_timestamp() + $2::float8 * interval '1 ms', $3::float8 * interval '1 ms', $4, $5)
       ON CONFLICT (id) DO UPDATE
       SET lease_expires_at = clock_timestamp() + $2::float8 * interval '1 ms',
         max_stale = excluded.max_stale, applied = excluded.applied, key_id = excluded.key_id`,
      [this.#replica, ttlMs, maxStaleMs, String(applied), this.#keyId],
    );
  }

  async head(): Promise<bigint> {
    const [row] = await this.#session.query(
      'SELECT coalesce(max(revision), 0)::text AS head FROM change_feed',
    );
    return BigInt(String(row?.['head']));
  }

  async noticesAfter(revision: bigint, upTo: bigint): Promise<readonly Notice[] | 'pruned'> {
    const rows = await this.#session.query(
      `SELECT (notice || jsonb_build_object('revision', revision::text))::text AS notice
       FROM change_feed WHERE revision > $1 AND revision <= $2 ORDER BY revision`,
      [String(revision), String(upTo)],
    );
    if (BigInt(rows.length) !== upTo - revision) return 'pruned';
    return rows.map(({ notice }) => existing(readNotice(String(notice))));
  }

  async acknowledge(writers: readonly string[], revision: bigint): Promise<void> {
    await this.#session.query('SELECT pg_notify($1 || writer, $2) FROM unnest($3::text[]) AS writer', [
      ACKNOWLEDGEMENTS,
      writeAcknowledgement({ replica: this.#replica, revision }),
      writers,
    ]);
  }

  async leave(): Promise<void> {
    await this.#session.query('DELETE FROM replicas WHERE id = $1', [this.#replica]);
  }

  close(): void {
    this.#session.close();
  }
}

function existing(notice: Notice | undefined): Notice {
  if (notice === undefined) throw new Error('a notice without a revision');
  return notice;
}
