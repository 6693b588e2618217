import { z } from 'zod';
import { digestFromBytes } from '../crypto/digest.js';
import type { ClientsTold, Eviction, Head, Notice } from './ports.js';

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
  secrets: z.array(ID).default([]),
  all_secrets: z.literal(true).optional(),
  barriers: z.array(z.strictObject({ id: UUID, writer: UUID })),
});

const NUMBERED = z.object({ revision: REVISION, epoch: UUID });

const COUNT = z.int().min(0);
const CLIENTS = z.strictObject({ revision: REVISION, acknowledged: COUNT, expired: COUNT });
const ACKNOWLEDGEMENT = z.strictObject({
  replica: UUID,
  revision: REVISION,
  epoch: UUID,
  clients: z.array(CLIENTS).default([]),
});
/** Revisions whose clients an acknowledgement tells of; a notification takes less than 8000 bytes. */
const MAX_TOLD = 50;

/** EVERYTHING is forgotten where it is not known what has changed. */
export const EVERYTHING: Eviction = {
  everything: true,
  digests: [],
  owners: { userIds: [], accountIds: [], profileIds: [] },
  secretIds: [],
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
  const { revision, epoch, all, digests, users, accounts, profiles, secrets, barriers } = notice;
  return {
    revision,
    epoch,
    eviction: all
      ? EVERYTHING
      : {
          everything: false,
          digests,
          owners: { userIds: users, accountIds: accounts, profileIds: profiles },
          secretIds: notice.all_secrets === true ? 'all' : secrets,
        },
    writers: [...new Set(barriers.map(({ writer }) => writer))],
  };
}

export interface Acknowledgement extends Head {
  readonly replica: string;
  readonly clients: readonly ClientsTold[];
}

/** writeAcknowledgement leaves out clients where there are none: the version before reads none that names them. */
export function writeAcknowledgement({ replica, epoch, revision, clients }: Acknowledgement): string {
  const acknowledgement = { replica, epoch, revision: String(revision) };
  if (clients.length === 0) return JSON.stringify(acknowledgement);
  const told = clients.slice(-MAX_TOLD).map((each) => ({ ...each, revision: String(each.revision) }));
  return JSON.stringify({ ...acknowledgement, clients: told });
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
