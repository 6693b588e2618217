import { parsePgTimestamp } from '../../lib/instant.js';
import { digestHex, type Digest } from '../../crypto/digest.js';
import { uuidOf } from '../normalise.js';
import { RowReader } from '../source-rows.js';
import type { Source, TextRow } from '../source.js';
import type { DjangoFacts } from './django-verdict.js';

const DIGEST = /^[0-9a-f]{128}$/;

/** What the platform's code joins when it judges. It counts namesakes by the column's own collation, as the platform does. */
const FACTS = `
  SELECT knox.digest, knox.token_key, knox.expiry, owner.username, owner.is_active AS user_is_active, owner.is_staff,
    smarter.authtoken_ptr_id, smarter.key_id, smarter.name, smarter.is_active, namesake.namesakes
  FROM knox_authtoken knox
  JOIN auth_user owner ON owner.id = knox.user_id
  LEFT JOIN drf_smarterauthtoken smarter ON smarter.authtoken_ptr_id = knox.digest
  LEFT JOIN (
    SELECT other.token_key, COUNT(*) AS namesakes
    FROM knox_authtoken other JOIN drf_smarterauthtoken key_ ON key_.authtoken_ptr_id = other.digest
    GROUP BY other.token_key
  ) namesake ON namesake.token_key = knox.token_key`;

/** readDjangoFacts reads the facts of all keys in the order of their digests. Rows whose digest no text can have are left out. */
export async function* readDjangoFacts(source: Source, batchSize: number): AsyncGenerator<DjangoFacts[]> {
  for await (const batch of source.rows(`${FACTS} ORDER BY knox.digest`, batchSize)) {
    yield batch.filter(({ digest }) => DIGEST.test(digest ?? '')).map(factsOf);
  }
}

/** findDjangoFacts finds those of some digests. */
export async function findDjangoFacts(
  source: Source,
  digests: readonly Digest[],
): Promise<ReadonlyMap<Digest, DjangoFacts>> {
  const found = new Map<string, DjangoFacts>();
  if (digests.length === 0) return found;
  // These are hexadecimal digits that were computed here: there is nothing in them to escape.
  const list = digests.map((digest) => `'${digestHex(digest)}'`).join();
  for await (const batch of source.rows(`${FACTS} WHERE knox.digest IN (${list})`, digests.length)) {
    for (const facts of batch.map(factsOf)) {
      // A database may compare without regard to case.
      if (DIGEST.test(facts.digest)) found.set(Buffer.from(facts.digest, 'hex').toString('latin1'), facts);
    }
  }
  return found;
}

function factsOf(row: TextRow): DjangoFacts {
  const reader = new RowReader('knox_authtoken', row);
  const digest = reader.raw('digest') ?? '';
  const expiry = reader.raw('expiry');
  const keyId = reader.raw('key_id') ?? '';
  return {
    digest,
    tokenKey: reader.raw('token_key') ?? '',
    expiresAt: expiry === null ? null : parsePgTimestamp(expiry),
    user: {
      username: reader.raw('username') ?? '',
      isActive: reader.flag('user_is_active'),
      isStaff: reader.flag('is_staff'),
    },
    smarter:
      reader.raw('authtoken_ptr_id') === digest
        ? {
            keyId: uuidOf(keyId) ?? keyId,
            name: reader.raw('name') ?? '',
            isActive: reader.flag('is_active'),
          }
        : null,
    namesakes: Number(reader.raw('namesakes') ?? 0),
  };
}
