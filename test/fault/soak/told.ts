import type { FeedPlace } from '../campaign/durable-postgres.js';

/** Told is what one watch, resumed again and again, was told between two places of one epoch: ids by revision. */
export interface Told {
  readonly kind: string;
  readonly from: FeedPlace;
  readonly to: FeedPlace;
  readonly events: ReadonlyMap<bigint, readonly bigint[]>;
}

/** Written is what the change feed held of an epoch, without a gap, up to a revision. */
export interface Written {
  readonly upTo: bigint;
  /** Ids of the changed resources, by kind and then by revision. */
  readonly ids: ReadonlyMap<string, ReadonlyMap<bigint, readonly bigint[]>>;
}

/** placeOf reads the text of a `resume_token`, which nobody but a test may. */
export function placeOf(resumeToken: string): FeedPlace {
  const [, epoch, revision] = /^([0-9a-f-]{36}):(\d+)(?:\.\d+)?$/.exec(resumeToken) ?? [];
  if (epoch === undefined || revision === undefined) throw new Error(`no resume token: ${resumeToken}`);
  return { epoch, revision: BigInt(revision) };
}

/** misTold are the revisions of which a watch was not told exactly once, as far as it is known what was written. */
export function misTold({ kind, from, to, events }: Told, written: Written | undefined): string[] {
  if (written === undefined) return [];
  const all = written.ids.get(kind) ?? new Map<bigint, readonly bigint[]>();
  const last = to.revision < written.upTo ? to.revision : written.upTo;
  const revisions = [...new Set([...all.keys(), ...events.keys()])].filter(
    (revision) => revision > from.revision && revision <= last,
  );
  return revisions.flatMap((revision) => {
    const [told, wrote] = [sorted(events.get(revision)), sorted(all.get(revision))];
    return told === wrote ? [] : [`${kind} at ${to.epoch}:${revision}: told [${told}] of [${wrote}]`];
  });
}

function sorted(ids: readonly bigint[] = []): string {
  return ids.map(String).sort().join(' ');
}
