import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { connect, type ClientHttp2Session } from 'node:http2';

/** A body that is begun and never ended: gRPC's frame announces all of it, and more than is sent at first follows. */
const BODY_BYTES = 4 * 1024 * 1024;

export interface Unfinished {
  /** host:port. */
  readonly address: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly connections: number;
  readonly callsOfEach: number;
}

/** UnfinishedBodies are many calls whose bodies do not end, by clients who send as fast as they are let. */
export class UnfinishedBodies {
  readonly #sessions: ClientHttp2Session[] = [];

  static async send({
    address,
    path,
    headers,
    connections,
    callsOfEach,
  }: Unfinished): Promise<UnfinishedBodies> {
    const all = new UnfinishedBodies();
    const body = Buffer.alloc(BODY_BYTES - 1);
    body.writeUInt32BE(BODY_BYTES - 5, 1);
    for (let each = 0; each < connections; each += 1) {
      const session = connect(`http://${address}`).on('error', () => undefined);
      all.#sessions.push(session);
      await once(session, 'connect');
      for (let call = 0; call < callsOfEach && !session.closed; call += 1) {
        const stream = session.request({
          ':method': 'POST',
          ':path': path,
          'content-type': 'application/grpc',
          te: 'trailers',
          ...headers,
        });
        stream.on('error', () => undefined).resume();
        stream.write(body);
      }
    }
    return all;
  }

  /** open is how many connections the server has not closed. */
  get open(): number {
    return this.#sessions.filter((session) => !session.closed && !session.destroyed).length;
  }

  close(): void {
    for (const session of this.#sessions) session.destroy();
  }
}

/** residentBytes is what a process holds in memory: now, or at most so far. */
export function residentBytes(pid: number, which: 'now' | 'most'): number {
  const field = which === 'now' ? 'VmRSS' : 'VmHWM';
  const kilobytes = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(
    readFileSync(`/proc/${pid}/status`, 'utf8'),
  )?.[1];
  if (kilobytes === undefined) throw new Error(`process ${pid} does not tell ${field}`);
  return Number(kilobytes) * 1024;
}
