import { encodeRequest, METHOD_NAMES, pathOf, type MethodName, type RequestOf } from '../support/rpc.js';
import { framed } from '../support/raw-http2.js';
import type { Random } from '../support/random.js';
import { requestFields } from '../support/descriptors.js';
import { byId } from '../support/requests.js';

/** Victims are resources that the requests may do anything to. */
export interface Victims {
  readonly tokens: readonly bigint[];
  readonly secrets: readonly bigint[];
  readonly users: readonly bigint[];
  readonly profiles: readonly bigint[];
  readonly accounts: readonly bigint[];
  readonly plaintexts: readonly string[];
}

export interface HostileRequest {
  readonly method: MethodName;
  readonly path: string;
  /** body is what is sent, gRPC's frame included. */
  readonly body: Buffer;
  /** isFramed is false where the frame itself is broken: then any status but a fault of the service will do. */
  readonly isFramed: boolean;
}

const TEXTS: readonly string[] = [
  '',
  'a',
  '\0',
  'nul\0inside',
  '\uD800',
  'half\uDFFFpair',
  '\u202Ertl\uFEFF',
  '__proto__',
  'constructor',
  'toString',
  "'; DROP TABLE tokens; --",
  '$1',
  '?::text',
  '%s%n',
  '../../etc/passwd',
  '{"a":1}',
  '😀'.repeat(40),
  'é'.repeat(255),
  'x'.repeat(255),
  'x'.repeat(256),
  'x'.repeat(10_001),
  'NaN',
  'Infinity',
  '-1',
  '1e309',
  '9223372036854775808',
  'true',
  'null',
  'rMTAwMDAwMQx',
  'rx',
  'token-rMTAwMDAwMQx',
  '3141-5926-5359',
  '00000000-0000-0000-0000-000000000000',
  '1.0.0',
  '*',
  'keyward.*',
  'a@b',
  'name = "a"',
  'name : "%" AND created_at > "2026-02-30T00:00:00Z"',
  'created_at < "9999-12-31T23:59:59.999999-12:00"',
  'created_at >= "0000-01-01T00:00:00Z"',
  'tag = null AND is_active = true',
  'id desc',
  'name desc, created_at asc, id',
  'description',
  'is_active',
  'name',
];

const NUMBERS: readonly bigint[] = [
  0n,
  1n,
  -1n,
  50n,
  1000n,
  2n ** 31n - 1n,
  -(2n ** 31n),
  2n ** 32n,
  2n ** 53n + 1n,
  2n ** 63n - 1n,
  -(2n ** 63n),
  253_402_300_799n,
  253_402_300_800n,
  -62_135_596_800n,
  315_576_000_000n,
  4_000_000_000n,
];

/** hostileRequest makes one request: at times good, mostly broken in one of many ways. */
export function hostileRequest(random: Random, victims: Victims): HostileRequest {
  const method = random.pick(METHOD_NAMES);
  const made = (message: Buffer): HostileRequest => ({
    method,
    path: pathOf(method),
    body: framed(message),
    isFramed: true,
  });
  switch (random.below(8)) {
    case 0:
      return made(random.bytes(random.below(200)));
    case 1:
      return {
        ...made(Buffer.alloc(0)),
        body: brokenFrame(random, goodMessage(random, method, victims)),
        isFramed: false,
      };
    case 2:
      return made(goodMessage(random, method, victims));
    case 3:
      return made(mutated(random, goodMessage(random, method, victims)));
    case 4:
      return made(Buffer.concat([goodMessage(random, method, victims), randomMessage(random, 3)]));
    default:
      return made(describedMessage(random, method, victims));
  }
}

/** goodMessage is a request as clients send it, about one of the victims, with some hostile text in its fields. */
function goodMessage(random: Random, method: MethodName, victims: Victims): Buffer {
  const text = () => random.pick(TEXTS);
  const selector = selectorFor(random, method, victims);
  const description = {
    description: text(),
    tags: Array.from({ length: random.below(4) }, text),
    annotations: new Map(Array.from({ length: random.below(4) }, () => [text(), text()])),
    version: random.chance(0.7) ? '1.0.0' : text(),
    manifestPath: text(),
    name: random.chance(0.6) ? `name-${random.below(1_000_000)}` : text(),
    isActive: random.chance(0.8),
    companyName: text(),
    firstName: text(),
    email: random.chance(0.5) ? '' : text(),
    scopes: Array.from({ length: random.below(3) }, () => random.pick(['a', '*', 'b.c', text()])),
    expiresAt: random.chance(0.8)
      ? undefined
      : { seconds: random.pick(NUMBERS), nanos: Number(BigInt.asIntN(32, random.pick(NUMBERS))) },
  };
  const request = {
    ...description,
    ...secretFields(random, method, selector),
    token:
      method === 'validateToken'
        ? random.pick([...victims.plaintexts, text()])
        : method === 'getToken'
          ? selector
          : description,
    account: method === 'updateAccount' ? description : byId({ id: random.pick(victims.accounts) }),
    user: method === 'updateUser' ? description : byId({ id: random.pick(victims.users) }),
    userProfile:
      method === 'getUserProfile'
        ? selector
        : method.endsWith('Access')
          ? byId({ id: random.pick(victims.profiles) })
          : description,
    owner: byId({ id: random.pick(victims.profiles) }),
    selector,
    requests: Array.from({ length: random.below(6) }, () => ({
      ...secretFields(random, 'accessSecret', selectorFor(random, 'accessSecret', victims)),
      token: random.pick([...victims.plaintexts, text()]),
      requiredScopes: random.chance(0.2) ? [text()] : [],
    })),
    requiredScopes: random.chance(0.3) ? ['a'] : [],
    username: random.chance(0.7) ? `user-${random.below(1_000_000)}` : text(),
    newName: random.chance(0.7) ? `name-${random.below(1_000_000)}` : text(),
    updateMask: Array.from({ length: 1 + random.below(3) }, () =>
      random.pick(['description', 'tags', 'name', 'annotations', 'scopes', 'email', 'version', text()]),
    ),
    etag: random.chance(0.8) ? '' : text(),
    force: random.chance(0.02),
    pageSize: Number(random.pick([0n, 1n, 5n, 50n, -1n])),
    pageToken: random.chance(0.7) ? '' : Buffer.from(JSON.stringify([text(), text()])).toString('base64url'),
    filter: random.chance(0.5) ? '' : text(),
    orderBy: random.chance(0.5) ? '' : text(),
    gracePeriod: { seconds: random.pick([0n, 60n, random.pick(NUMBERS)]), nanos: 0 },
  };
  return encodeRequest(method, request as RequestOf<MethodName>);
}

/** secretFields are those that only requests about secrets have, or that have another type there. */
function secretFields(random: Random, method: MethodName, selector: object): object {
  const takesNumber = method.endsWith('SecretVersion') || method === 'accessSecret';
  return {
    secret: method === 'updateSecret' ? { description: random.pick(TEXTS) } : selector,
    ...(takesNumber ? { version: Number(BigInt.asIntN(32, random.pick(NUMBERS))) } : {}),
    payload: random.chance(0.1) ? {} : { value: payloadValue(random) },
    kind: random.chance(0.8) ? `kind_${random.below(3)}` : random.pick(TEXTS),
    consumer: random.chance(0.8) ? `consumer ${random.below(3)}` : random.pick(TEXTS),
    batchSize: Number(BigInt.asIntN(32, random.pick(NUMBERS))),
    dryRun: random.chance(0.5),
    showDeleted: random.chance(0.5),
    includeExpired: random.chance(0.5),
    skipAccessTime: random.chance(0.5),
  };
}

function payloadValue(random: Random): object {
  return random.chance(0.5)
    ? { $case: 'text', value: random.pick(TEXTS) }
    : { $case: 'data', value: random.bytes(random.below(200)) };
}

function selectorFor(random: Random, method: MethodName, victims: Victims): object {
  const ids = method.includes('UserProfile')
    ? victims.profiles
    : method.includes('Account')
      ? victims.accounts
      : method.endsWith('User')
        ? victims.users
        : isAboutSecrets(method)
          ? victims.secrets
          : victims.tokens;
  if (random.chance(0.7)) return byId({ id: random.pick(ids) });
  const forms = ['hashedId', 'recordLocator', 'keyId', 'username', 'accountNumber'];
  const fits = (form: string) =>
    method.endsWith('User')
      ? form === 'username'
      : form !== 'username' &&
        (form !== 'keyId' || (method.includes('Token') && !isAboutSecrets(method))) &&
        (form !== 'accountNumber' || (method.includes('Account') && !method.includes('User')));
  return { selector: { $case: random.pick(forms.filter(fits)), value: random.pick(TEXTS) } };
}

function isAboutSecrets(method: MethodName): boolean {
  return /Secret|Reference|Access|Grant/.test(method);
}

/** describedMessage has fields that the protos describe, with values of any type, more than once, nested. */
function describedMessage(random: Random, method: MethodName, victims: Victims): Buffer {
  const numbers = requestFields(method).map(({ number }) => number);
  const fields = Array.from({ length: 1 + random.below(6) }, () => {
    const number =
      random.chance(0.95) && numbers.length > 0 ? random.pick(numbers) : 1 + random.below(2 ** 20);
    return field(random, number, 1 + random.below(5), victims);
  });
  return Buffer.concat(fields);
}

function field(random: Random, number: number, depth: number, victims?: Victims): Buffer {
  const type = random.pick([0, 0, 1, 2, 2, 2, 2, 5, 3, 6, 7]);
  const tag = varint((BigInt(number) << 3n) | BigInt(type));
  if (type === 0) {
    const ids =
      victims === undefined
        ? NUMBERS
        : [...victims.tokens.slice(0, 20), ...victims.secrets.slice(0, 20), ...NUMBERS];
    return Buffer.concat([tag, varint(BigInt.asUintN(64, random.pick(ids)))]);
  }
  if (type === 1) return Buffer.concat([tag, random.bytes(8)]);
  if (type === 5) return Buffer.concat([tag, random.bytes(4)]);
  if (type !== 2) return tag;
  const content = depth > 0 && random.chance(0.6) ? randomMessage(random, depth - 1) : contentBytes(random);
  return Buffer.concat([
    tag,
    varint(BigInt(random.chance(0.95) ? content.length : random.below(2 ** 31))),
    content,
  ]);
}

function randomMessage(random: Random, depth: number): Buffer {
  return Buffer.concat(
    Array.from({ length: 1 + random.below(3) }, () => field(random, 1 + random.below(12), depth)),
  );
}

function contentBytes(random: Random): Buffer {
  if (random.chance(0.002)) return Buffer.alloc(random.below(1_000_000), 0x61);
  if (random.chance(0.002)) return deep(200 + random.below(5_000));
  return random.chance(0.8) ? Buffer.from(random.pick(TEXTS)) : random.bytes(random.below(64));
}

/** deep is a message within a message, so many times. */
function deep(levels: number): Buffer {
  let message: Buffer = Buffer.from([0x0a, 0x00]);
  for (let level = 0; level < levels; level += 1)
    message = Buffer.concat([Buffer.from([0x0a]), varint(BigInt(message.length)), message]);
  return message;
}

/** mutated changes, removes, doubles or cuts some bytes. */
function mutated(random: Random, message: Buffer): Buffer {
  if (message.length === 0) return random.bytes(3);
  let bytes: Buffer = Buffer.from(message);
  for (let change = 0; change <= random.below(4); change += 1) {
    const at = random.below(bytes.length + 1);
    const kind = random.below(4);
    if (kind === 0 && at < bytes.length) bytes[at] = random.below(256);
    else if (kind === 1)
      bytes = Buffer.concat([bytes.subarray(0, at), random.bytes(1 + random.below(4)), bytes.subarray(at)]);
    else if (kind === 2)
      bytes = Buffer.concat([
        bytes.subarray(0, at),
        bytes.subarray(Math.min(bytes.length, at + 1 + random.below(4))),
      ]);
    else bytes = bytes.subarray(0, at);
  }
  return bytes;
}

function brokenFrame(random: Random, message: Buffer): Buffer {
  const frame = framed(message);
  switch (random.below(5)) {
    case 0:
      frame.writeUInt32BE(message.length + 1 + random.below(2 ** 20), 1);
      return frame;
    case 1:
      frame.writeUInt8(1, 0);
      return frame;
    case 2:
      return frame.subarray(0, random.below(frame.length));
    case 3:
      return Buffer.concat([frame, frame]);
    default:
      return Buffer.concat([frame, random.bytes(1 + random.below(20))]);
  }
}

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 128n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  bytes.push(Number(rest));
  return Buffer.from(bytes);
}
