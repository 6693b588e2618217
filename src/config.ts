import { z } from 'zod';
import { MalformedKey, readKeys } from './crypto/read-keys.js';
import { Redacted } from './lib/redacted.js';
import { areScopes } from './lib/scopes.js';
import { LOG_LEVELS } from './telemetry/log-levels.js';

/** Setting is one environment variable: how it is read, and what people are told about it. */
interface Setting<T> {
  readonly variable: string;
  /** What it means, with unit and range, in one sentence or two. */
  readonly description: string;
  /** The default as people would write it; empty for none. */
  readonly default: string;
  readonly schema: z.ZodType<T>;
}

function setting<T>(
  variable: string,
  defaultText: string,
  schema: z.ZodType<T>,
  description: string,
): Setting<T> {
  return { variable, default: defaultText, schema, description };
}

function wholeNumber(least: number, most: number): z.ZodType<number> {
  return z
    .string()
    .regex(/^\d{1,12}$/, 'must be a whole number')
    .transform(Number)
    .pipe(z.number().min(least, `must be at least ${least}`).max(most, `must be at most ${most}`));
}

const flag = z.enum(['true', 'false'], 'must be true or false').transform((text) => text === 'true');
const optionalText = z.string().transform((text) => (text === '' ? undefined : text));

const address = z
  .string()
  .regex(/^(\[[0-9a-fA-F:]+\]|[^:\s]+):\d{1,5}$/, 'must be <host>:<port>')
  .transform((text) => ({
    host: text.slice(0, text.lastIndexOf(':')),
    port: Number(text.slice(text.lastIndexOf(':') + 1)),
  }))
  .refine(({ port }) => port <= 65535, 'must have a port of at most 65535');

const optionalAddress = z.preprocess((text) => (text === '' ? undefined : text), address.optional());

const databaseUrl = z
  .string()
  .regex(/^(postgres(ql)?:\/\/.+)?$/, 'must be a postgres:// URL')
  .transform((text) => (text === '' ? undefined : new Redacted(text)));

const fernetKeys = z.string().transform((text, context) => {
  try {
    return readKeys(text);
  } catch (error) {
    if (!(error instanceof MalformedKey)) throw error;
    context.addIssue(error.message);
    return z.NEVER;
  }
});

const scopeList = z
  .string()
  .transform((text) => text.split(',').map((scope) => scope.trim()))
  .refine((scopes) => areScopes(scopes), 'must be scopes of [a-z0-9_.:/*-], separated by commas');

const headerNames = z
  .string()
  .transform((text) => text.split(',').map((name) => name.trim().toLowerCase()))
  .refine(
    (names) => names.length <= 8 && names.every((name) => /^[a-z0-9-]{1,64}$/.test(name)),
    'must be 1 to 8 names of headers, separated by commas',
  );

/** Every setting of `keyward serve`. The table of docs/configuration.md is made from this. */
export const SETTINGS = {
  listen: setting(
    'KEYWARD_LISTEN',
    '127.0.0.1:50051',
    address,
    'Address and port to serve gRPC on. Port 0 takes a free one.',
  ),
  httpListen: setting(
    'KEYWARD_HTTP_LISTEN',
    '127.0.0.1:9464',
    optionalAddress,
    'Address and port to serve health and metrics on, over HTTP. Empty for none.',
  ),
  gatewayListen: setting(
    'KEYWARD_GATEWAY_LISTEN',
    '',
    optionalAddress,
    'Address and port to answer gateways on, over HTTP: forward auth, token introspection and values of secrets. Empty for none. TLS and client certificates are those of gRPC.',
  ),
  gatewayCredentialHeaders: setting(
    'KEYWARD_GATEWAY_CREDENTIAL_HEADERS',
    'authorization,x-api-key',
    headerNames,
    'Headers, 1 to 8, separated by commas, in which clients of gateways present their keys: after Bearer or Token in authorization, by itself in all others.',
  ),
  gatewayRemoveCredential: setting(
    'KEYWARD_GATEWAY_REMOVE_CREDENTIAL',
    'true',
    flag,
    'Have Envoy take the key out of the request before the upstream gets it: true or false.',
  ),
  workers: setting(
    'KEYWARD_WORKERS',
    '1',
    wholeNumber(1, 64),
    'Processes, 1 to 64, that share the port. Each has its own connections to PostgreSQL and its own memory.',
  ),
  databaseUrl: setting(
    'DATABASE_URL',
    '',
    databaseUrl,
    'PostgreSQL 14 or newer to keep everything in. Beyond loopback and Unix sockets the connection is TLS with a verified certificate, unless the URL says otherwise by sslmode. Without it Keyward runs a PostgreSQL of its own.',
  ),
  databaseListenUrl: setting(
    'DATABASE_LISTEN_URL',
    '',
    databaseUrl,
    'The same database without a pooler in between, to hear of changes. Needed where DATABASE_URL is that of a pooler such as PgBouncer. The same holds for TLS.',
  ),
  databasePasswordFile: setting(
    'DATABASE_PASSWORD_FILE',
    '',
    optionalText,
    'File with the password of DATABASE_URL and DATABASE_LISTEN_URL, which then hold none.',
  ),
  databasePoolSize: setting(
    'KEYWARD_DATABASE_POOL_SIZE',
    '10',
    wholeNumber(2, 1000),
    'Most connections to PostgreSQL, 2 to 1000. Four of ten are kept for validations and accesses to secrets. Another one listens for changes.',
  ),
  databaseTimeoutSeconds: setting(
    'KEYWARD_DATABASE_TIMEOUT_SECONDS',
    '5',
    wholeNumber(1, 600),
    'Seconds, 1 to 600, to wait for a connection and a statement, or for all statements and the COMMIT of a change, whether the database refuses, is slow or is silent. After that a call is UNAVAILABLE.',
  ),
  dataDir: setting(
    'KEYWARD_DATA_DIR',
    './.keyward',
    z.string().min(1, 'must not be empty'),
    'Directory of the embedded PostgreSQL, the admin token and the embedded key; it must belong to the user that runs Keyward, and others must not be able to write to it. Not used with DATABASE_URL.',
  ),
  fernetKeys: setting(
    'KEYWARD_FERNET_KEYS',
    '',
    fernetKeys,
    'Keys of the secrets, separated by commas: the first encrypts, all decrypt. With DATABASE_URL this or KEYWARD_FERNET_KEYS_FILE must be set; without, a key is made in the data directory.',
  ),
  fernetKeysFile: setting(
    'KEYWARD_FERNET_KEYS_FILE',
    '',
    optionalText,
    'File with the keys instead, separated by commas or one a line. It is refused if others can write to it.',
  ),
  secretRetentionDays: setting(
    'KEYWARD_SECRET_RETENTION_DAYS',
    '30',
    wholeNumber(0, 3650),
    'Days, 0 to 3650, for which a deleted secret can be brought back. After that it is gone.',
  ),
  auditHeadsFile: setting(
    'KEYWARD_AUDIT_HEADS_FILE',
    '',
    optionalText,
    'File to write out to, once a minute, how far the audit log is, for "keyward audit verify --heads". Empty for none. Best on another disk or machine than the database.',
  ),
  tlsCert: setting(
    'KEYWARD_TLS_CERT',
    '',
    optionalText,
    'File with the certificate chain of the server, PEM.',
  ),
  tlsKey: setting('KEYWARD_TLS_KEY', '', optionalText, 'File with the private key of the certificate, PEM.'),
  tlsClientCa: setting(
    'KEYWARD_TLS_CLIENT_CA',
    '',
    optionalText,
    "File with the authorities, PEM, whose client certificates are accepted. The subject's common name is the username.",
  ),
  tlsClientScopes: setting(
    'KEYWARD_TLS_CLIENT_SCOPES',
    'keyward.tokens.validate',
    scopeList,
    'Scopes of callers that present a client certificate, separated by commas.',
  ),
  allowPlaintext: setting(
    'KEYWARD_ALLOW_PLAINTEXT',
    'false',
    flag,
    'Serve without TLS on an address that is not loopback: true or false. Only for a network that encrypts by itself.',
  ),
  requestTimeoutSeconds: setting(
    'KEYWARD_REQUEST_TIMEOUT_SECONDS',
    '10',
    wholeNumber(1, 600),
    'Seconds, 1 to 600, in which a request, or a message of a stream, must have come whole once it was begun. After that the call is DEADLINE_EXCEEDED.',
  ),
  maxConnections: setting(
    'KEYWARD_MAX_CONNECTIONS',
    '4096',
    wholeNumber(16, 1_000_000),
    'Most connections of gRPC clients, 16 to 1000000; fewer where the process may not open so many files. Workers share them evenly. Idle ones make room for new ones.',
  ),
  maxConnectionsPerPeer: setting(
    'KEYWARD_MAX_CONNECTIONS_PER_PEER',
    '1024',
    wholeNumber(16, 1_000_000),
    'Most of them from one address, 16 to 1000000. Clients behind one proxy or NAT have one address.',
  ),
  http2GcWorkaround: setting(
    'KEYWARD_HTTP2_GC_WORKAROUND',
    'true',
    flag,
    'Look into Node to have streams that have ended collected soon: true or false. Without it a call costs a fifth to a third more.',
  ),
  fastLane: setting(
    'KEYWARD_FAST_LANE',
    'true',
    flag,
    'Answer validations that memory can answer in the place of the gRPC library: true or false. Without it they are answered alike, but cost twice as much, and under overload may be refused as all other calls are.',
  ),
  idleConnectionSeconds: setting(
    'KEYWARD_IDLE_CONNECTION_SECONDS',
    '600',
    wholeNumber(10, 86_400),
    'Seconds, 10 to 86400, after which a connection without calls is closed. One that shows no good credentials is closed after 20.',
  ),
  reflection: setting(
    'KEYWARD_REFLECTION',
    'true',
    flag,
    'Answer gRPC server reflection, which grpcurl needs: true or false. It tells the API, and no data.',
  ),
  cacheMaxEntries: setting(
    'KEYWARD_CACHE_MAX_ENTRIES',
    '100000',
    wholeNumber(1, 10_000_000),
    'Most tokens remembered, 1 to 10000000. Each takes up to about 700 bytes.',
  ),
  cacheTtlSeconds: setting(
    'KEYWARD_CACHE_TTL_SECONDS',
    '60',
    wholeNumber(1, 86_400),
    'Seconds, 1 to 86400, after which a remembered token is read anew even if nobody told of a change.',
  ),
  maxStaleSeconds: setting(
    'KEYWARD_MAX_STALE_SECONDS',
    '60',
    wholeNumber(0, 3_600),
    'Seconds, 0 to 3600, for which a process that has lost the database may answer by what it knew, marked as stale. Then, or at once with 0, it is UNAVAILABLE.',
  ),
  maxCallsPerCaller: setting(
    'KEYWARD_MAX_CALLS_PER_CALLER',
    '200',
    wholeNumber(1, 1_000_000),
    'Most calls, 1 to 1000000, of one user, by whatever tokens and connections, that a process has under way. ValidateToken counts as a fiftieth of a call, AccessSecret as a tenth, also where a client that holds verdicts asks for them on its stream; what memory answers as none. One more is RESOURCE_EXHAUSTED.',
  ),
  maxStreamsPerCaller: setting(
    'KEYWARD_MAX_STREAMS_PER_CALLER',
    '200',
    wholeNumber(1, 1_000_000),
    'Most watches, clients that hold verdicts and other streams, 1 to 1000000, of one user that a process holds open. One more is RESOURCE_EXHAUSTED.',
  ),
  holderMaxEntries: setting(
    'KEYWARD_HOLDER_MAX_ENTRIES',
    '10000',
    wholeNumber(16, 100_000),
    'Most tokens, 16 to 100000, that one client may hold in a memory of its own. Each takes 30 to 60 bytes here.',
  ),
  maxHolders: setting(
    'KEYWARD_MAX_HOLDERS',
    '1000',
    wholeNumber(1, 100_000),
    'Most clients, 1 to 100000, that hold verdicts of a process. One more is RESOURCE_EXHAUSTED.',
  ),
  shutdownSeconds: setting(
    'KEYWARD_SHUTDOWN_SECONDS',
    '10',
    wholeNumber(0, 600),
    'Seconds, 0 to 600, that calls under way have to end when the service stops.',
  ),
  logLevel: setting(
    'KEYWARD_LOG_LEVEL',
    'info',
    z.enum(LOG_LEVELS, `must be one of ${LOG_LEVELS.join(', ')}`),
    `Least severe log entries to write: ${LOG_LEVELS.join(', ')}. Every call is logged from debug on.`,
  ),
} as const satisfies Record<string, Setting<unknown>>;

type Settings = typeof SETTINGS;

/** Config is all settings, read once. */
export type Config = { readonly [Key in keyof Settings]: z.output<Settings[Key]['schema']> };

/** ConfigError reports everything that is wrong with the settings. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}

/** loadConfig reads the environment. It throws one ConfigError that tells of all errors, and shows no values. */
export function loadConfig(env: Readonly<Record<string, string | undefined>>): Config {
  const problems: string[] = [];
  const entries = Object.entries(SETTINGS).map(([key, { variable, default: fallback, schema }]) => {
    const result = schema.safeParse(env[variable] ?? fallback);
    if (!result.success) {
      problems.push(...result.error.issues.map((issue) => `${variable} ${issue.message}`));
    }
    return [key, result.data] as const;
  });
  const config = Object.fromEntries(entries) as Config;
  problems.push(...contradictions(config));
  if (problems.length > 0) throw new ConfigError(`The settings are wrong:\n  ${problems.join('\n  ')}`);
  return Object.freeze(config);
}

/** CLIENT_VARIABLES are read by the commands that ask a running service, and by the import. */
const CLIENT_VARIABLES = ['KEYWARD_SERVER', 'KEYWARD_TOKEN', 'KEYWARD_IMPORT_FROM'];

/** unknownVariables are those that look like settings and are none: most likely misspelt. */
export function unknownVariables(env: Readonly<Record<string, string | undefined>>): string[] {
  const known = new Set<string>([
    ...Object.values(SETTINGS).map(({ variable }) => variable),
    ...CLIENT_VARIABLES,
  ]);
  return Object.keys(env).filter((name) => name.startsWith('KEYWARD_') && !known.has(name));
}

/** isLoopback tells whether only this machine can reach an address. */
function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '[::1]' || /^127(\.\d{1,3}){3}$/.test(host);
}

/** holdsPassword looks at both places of a URL that may hold one. */
function holdsPassword(url: string): boolean {
  return /^\w+:\/\/[^/?#@]*:[^/?#@]+@|[?&]password=/.test(url);
}

/** contradictions between settings; those that could not be read by themselves are undefined here. */
function contradictions(config: Partial<Config>): string[] {
  const { tlsCert, tlsKey, tlsClientCa, listen, gatewayListen, allowPlaintext } = config;
  const { fernetKeys, fernetKeysFile } = config;
  const problems: string[] = [];
  if (config.databaseListenUrl !== undefined && config.databaseUrl === undefined) {
    problems.push('DATABASE_LISTEN_URL needs DATABASE_URL');
  }
  if (config.databasePasswordFile !== undefined) {
    if (config.databaseUrl === undefined) problems.push('DATABASE_PASSWORD_FILE needs DATABASE_URL');
    for (const [variable, url] of [
      ['DATABASE_URL', config.databaseUrl],
      ['DATABASE_LISTEN_URL', config.databaseListenUrl],
    ] as const) {
      if (url !== undefined && holdsPassword(url.reveal())) {
        problems.push(`${variable} must hold no password where DATABASE_PASSWORD_FILE is set`);
      }
    }
  }
  if ((tlsCert === undefined) !== (tlsKey === undefined)) {
    problems.push('KEYWARD_TLS_CERT and KEYWARD_TLS_KEY must be set together');
  }
  if (fernetKeysFile !== undefined && fernetKeys !== undefined && fernetKeys.length > 0) {
    problems.push('KEYWARD_FERNET_KEYS and KEYWARD_FERNET_KEYS_FILE must not be set together');
  }
  if (tlsClientCa !== undefined && tlsCert === undefined) {
    problems.push('KEYWARD_TLS_CLIENT_CA needs KEYWARD_TLS_CERT and KEYWARD_TLS_KEY');
  }
  for (const [variable, address] of [
    ['KEYWARD_LISTEN', listen],
    ['KEYWARD_GATEWAY_LISTEN', gatewayListen],
  ] as const) {
    if (tlsCert !== undefined || allowPlaintext !== false || address === undefined) continue;
    if (isLoopback(address.host)) continue;
    problems.push(
      `${variable} is not a loopback address: set KEYWARD_TLS_CERT and KEYWARD_TLS_KEY, or KEYWARD_ALLOW_PLAINTEXT=true`,
    );
  }
  return problems;
}
