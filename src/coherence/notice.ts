import { z } from 'zod';
import { digestFromBytes } from '../crypto/digest.js';
import type { Eviction, Head, Notice } from './ports.js';

const REVISION = z
  .string()
  .regex(/^\d{1,19}$/)
  .transform(BigInt);
const ID = REVISION;
const UUID = z.string().regex(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
const DIGEST = z
  .string()
  .regex(/^[0-9a-f]{128}$/)
  .transform((hex) => digestFromBytes(Buffer.from(hex, 'hex')));

/** What the database writes into a notification and into the feed. */
const NOTICE = z.strictObject({
  revision: REVISION,
  epoch: UUID,
  all: z.boolean(),
  digests: z.array(DIGEST),
  users: z.array(ID),
  accounts: z.array(ID),
  profiles: z.array(ID),
  barriers: z.array(z.strictObject({ id: UUID, writer: UUID })),
});

const NUMBERED = z.object({ revision: REVISION, epoch: UUID });

const ACKNOWLEDGEMENT = z.strictObject({ replica: UUID, revision: REVISION, epoch: UUID });

/** EVERYTHING is forgotten where it is not known what has changed. */
export const EVERYTHING: Eviction = {
  everything: true,
  digests: [],
  owners: { userIds: [], accountIds: [], profileIds: [] },
};

/**
 * readNotice reads a notice. One that has a revision and an epoch but cannot be read otherwise, as of a newer version, is taken
 * for "everything has changed". Undefined if it has not even these.
 */
export function readNotice(text: string): Notice | undefined {
  const value = parseJson(text);
  const { success, data: notice } = NOTICE.safeParse(value);
  if (!success) {
    const numbered = NUMBERED.safeParse(value);
    return numbered.success ? { ...numbered.data, eviction: EVERYTHING, writers: [] } : undefined;
  }
  const { revision, epoch, all, digests, users, accounts, profiles, barriers } = notice;
  return {
    revision,
    epoch,
    eviction: all
      ? EVERYTHING
      : {
          everything: false,
          digests,
          owners: { userIds: users, accountIds: accounts, profileIds: profiles },
        },
    writers: [...new Set(barriers.map(({ writer }) => writer))],
  };
}

export interface Acknowledgement extends Head {
  readonly replica: string;
}

export function writeAcknowledgement({ replica, epoch, revision }: Acknowledgement): string {
  return JSON.stringify({ replica, epoch, revision: String(revision) });
}

/** readAcknowledgement gives undefined for what is none. */
export function readAcknowledgement(text: string): Acknowledgement | undefined {
  return ACKNOWLEDGEMENT.safeParse(parseJson(text)).data;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
