import { createHash } from 'node:crypto';
import { MANY, type Actor, type AuditEntry } from './audit-entry.js';
import type { AuditLog } from './audit-log.js';
import type { Place, Places, Tally } from './tally.js';

/**
 * RefusalLog records what callers were refused: at once, and durably before the answer. Where one caller is refused the
 * same again, the repetitions are counted. What is the same is told by what the caller sent, not by what there is: how
 * long an answer takes must not tell what the caller may not know.
 */
export class RefusalLog {
  readonly #audit: Pick<AuditLog, 'append'>;
  readonly #tally: Pick<Tally, 'add' | 'open' | 'remove'>;
  /** First refusals that are being recorded, by key. */
  readonly #beingWritten = new Map<string, Promise<void>>();

  constructor(audit: Pick<AuditLog, 'append'>, tally: Pick<Tally, 'add' | 'open' | 'remove'>) {
    this.#audit = audit;
    this.#tally = tally;
  }

  /**
   * add resolves when the refusal is recorded, or is counted behind a record that is. `attempt` is what was asked for;
   * it may hold names, and of it only a digest is kept. Each find of a misplaced value is recorded, as each access is:
   * it tells of tampering, and no other refusals may take its room.
   */
  async add(entry: AuditEntry, attempt: string): Promise<void> {
    if (entry.outcome === 'SECRET_MISPLACED') return this.#audit.append(entry);
    const places = placesOf(entry, attempt);
    const [{ key }] = places;
    const first = this.#beingWritten.get(key);
    if (first !== undefined) {
      this.#tally.add(places);
      return first;
    }
    if (!this.#tally.open(places)) return;
    const written = this.#audit.append(entry);
    this.#beingWritten.set(key, written);
    try {
      await written;
    } catch (error) {
      // Those who waited with it were not refused either: all of them must ask again.
      this.#tally.remove(key);
      throw error;
    } finally {
      this.#beingWritten.delete(key);
    }
  }
}

/** placesOf is the record of one refusal, then that of all of the same kind of a caller, then that of all callers. */
function placesOf(entry: AuditEntry, attempt: string): Places {
  const { actor, action, outcome, resource } = entry;
  const caller = JSON.stringify([actor.keyId ?? String(actor.userId), actor.certificate]);
  const kind = `${action} ${outcome}`;
  const same = JSON.stringify([caller, kind, String(resource.id), attempt]);
  const ofAll = (who: Actor): AuditEntry => ({
    ...entry,
    actor: { ...who, requestId: undefined },
    resource: { kind: resource.kind, id: null },
    detail: {},
  });
  const narrowest: Place = {
    key: createHash('sha256').update(same).digest('base64'),
    group: caller,
    entry: () => ({ ...entry, actor: { ...actor, requestId: undefined } }),
  };
  return [
    narrowest,
    { key: `${caller} ${kind}`, entry: () => ofAll(actor) },
    { key: kind, entry: () => ofAll(MANY) },
  ];
}
