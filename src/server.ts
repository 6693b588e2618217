import { randomUUID } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import type { Server } from '@grpc/grpc-js';
import { accountHandlers, AccountServiceService } from './account/account-handler.js';
import { idHandlers } from './account/id-handler.js';
import { DoneRequestRepository } from './idempotency/done-request-repository.js';
import type { DoneRequests } from './idempotency/done-requests.js';
import { ChangeAudienceRepository } from './authz/change-audience-repository.js';
import { CallerRightsRepository } from './authz/caller-rights-repository.js';
import { WatcherRights } from './authz/watcher-rights.js';
import { auditHandlers, AuditServiceService } from './audit/audit-handler.js';
import { AuditRepository } from './audit/audit-repository.js';
import { AuditService } from './audit/audit-service.js';
import type { FeedBroadcast } from './watch/feed-broadcast.js';
import { VerdictCache } from './token/verdict-cache.js';
import type { Config } from './config.js';
import type { Keyring } from './crypto/keyring.js';
import { Judge } from './gateway/judge.js';
import type { Database } from './db/knex.js';
import { Pruner } from './db/pruner.js';
import { ReferenceRepository, TOKEN_REFERENCES } from './db/reference-repository.js';
import type { Clock } from './lib/clock.js';
import { MICROSECONDS_A_DAY } from './lib/instant.js';
import { serviceVersion } from './lib/version.js';
import { Closer } from './lib/closer.js';
import { stopping as stoppingError } from './lib/errors.js';
import { systemTimers, type Timers } from './lib/timers.js';
import { CredentialsAuthenticator } from './authn/authenticator.js';
import { CertificateCallers, CertificateUsers } from './authn/certificate-callers.js';
import { CallerLimits } from './rpc/caller-limits.js';
import type { ChainDependencies } from './rpc/chain.js';
import type { MethodRule } from './rpc/front-door/method-rules.js';
import { connectionLimits } from './rpc/front-door/connection-limits.js';
import { FrontDoor } from './rpc/front-door/front-door.js';
import { drain, listen, newGrpcServer, renewTls, serverCredentials } from './rpc/grpc-server.js';
import { keepStreamsYoung } from './rpc/young-streams.js';
import { readServerTls } from './rpc/server-tls.js';
import { addService } from './rpc/service.js';
import { manifestHandlers, ManifestServiceService } from './manifest/manifest-handler.js';
import { ManifestService } from './manifest/manifest-service.js';
import { KeyCheck } from './secret/key-check.js';
import { secretServices, type SecretServices } from './secret/secret-services.js';
import { ReencryptionRepository } from './secret/reencryption/reencryption-repository.js';
import { conflictHandlers, ImportServiceService } from './smarter/conflict-handler.js';
import { ConflictService } from './smarter/conflict-service.js';
import { startAudit, type Audit } from './server-audit.js';
import { Coherence } from './server-coherence.js';
import { addCheck, openGateways } from './server-gateways.js';
import { addHealth } from './server-health.js';
import { startHolders } from './server-holders.js';
import { HOLD_VERDICTS } from './holders/hold-codec.js';
import type { HolderHub } from './holders/holder-hub.js';
import { openDatabases, type Databases } from './server-database.js';
import { idService } from './server-ids.js';
import { addSecrets } from './server-secrets.js';
import { addStatus } from './server-status.js';
import { JoinedServices, ownerServices, type Memory, type OwnerServices } from './server-services.js';
import type { Readiness } from './telemetry/probe-server.js';
import { noConnections } from './telemetry/connection-metrics.js';
import type { Logger } from './telemetry/logger.js';
import { Metrics } from './telemetry/metrics.js';
import { tokenReferenceHandlers } from './token/reference-handler.js';
import { tokenHandlers } from './token/token-handler.js';
import { TokenRepository } from './token/token-repository.js';
import { tokenWatch } from './token/token-watch.js';
import { UsageRecorder } from './token/usage-recorder.js';
import { encodeValid, FastTokenService } from './token/validate-codec.js';
import { validateHandlers } from './token/validate-handler.js';
import { noValidations } from './token/validation-counts.js';
import { VerdictRepository } from './token/verdict-repository.js';
import { VerdictRecord } from './token/verdict.js';
import { Verdicts } from './token/verdicts.js';
import { tokenWatchHandlers } from './token/watch-handler.js';

export interface ServerDependencies {
  readonly config: Config;
  readonly databaseUrl: string;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A UUID that tells this replica from all others that ever were; a new one if not given. */
  readonly replicaId?: string;
  /** Measures leases and waits; the machine's if not given. */
  readonly timers?: Timers;
}

/** RunningServer serves until it is stopped. */
export interface RunningServer {
  readonly port: number;
  /** The port of the listener of gateways, where there is one. */
  readonly gatewayPort: number | undefined;
  readonly metrics: Metrics;
  /** readiness is what gRPC health says. */
  readiness(): Readiness;
  /**
   * reload reads the files of TLS anew, for the connections to come.
   *
   * @throws ConfigError where they do not fit; those before stay in use
   */
  reload(): Promise<void>;
  /** stop refuses new calls, lets those under way end, writes what is in memory and closes everything. */
  stop(): Promise<void>;
}

/** How often times of use are written. */
const USAGE_INTERVAL_MS = 5_000;
const PRUNE_INTERVAL_MS = 600_000;
const BINDING_INTERVAL_MS = 5_000;
/** How long a start waits for stored values to be bound. More go on being bound, and can be read, meanwhile. */
const BINDING_PATIENCE_MS = 5_000;

/** startServer builds the whole service and starts it. What was opened is closed again if it fails. */
export async function startServer(dependencies: ServerDependencies): Promise<RunningServer> {
  const closer = new Closer();
  try {
    const server = await start(dependencies, closer);
    return { ...server, stop: () => closer.close() };
  } catch (error) {
    await closer.close();
    throw error;
  }
}

async function start(dependencies: ServerDependencies, closer: Closer): Promise<Omit<RunningServer, 'stop'>> {
  const { config, databaseUrl, keyring, clock, logger } = dependencies;
  const timeoutMs = config.databaseTimeoutSeconds * 1000;
  const cacheTtlMs = config.cacheTtlSeconds * 1000;
  const databases = openDatabases(databaseUrl, config);
  const { knex, urgent } = databases;
  closer.add('the database', () => databases.close());
  const keys = new KeyCheck(new ReencryptionRepository(knex), keyring);
  await keys.stopIfMissing();

  const server = newGrpcServer();
  const metrics = new Metrics();
  const writers = await startAudit(
    { config, knex: urgent, keyring, clock, logger, metrics: metrics.audit },
    closer,
  );
  const timers = dependencies.timers ?? systemTimers;
  const stopping = new AbortController();
  // Every stream that is open listens to it.
  setMaxListeners(0, stopping.signal);
  const replicaId = dependencies.replicaId ?? randomUUID();
  const coherence = new Coherence({
    knex,
    listenUrl: config.databaseListenUrl?.reveal() ?? databaseUrl,
    replicaId,
    version: serviceVersion(),
    keyId: keyring.primaryId,
    maxStaleMs: config.maxStaleSeconds * 1000,
    timers,
    databaseTimeoutMs: timeoutMs,
    stopping: stopping.signal,
    logger,
    metrics: metrics.coherence,
  });
  const requests = new DoneRequestRepository(knex);
  const pruner = new Pruner(requests, 'ids of done calls', logger);
  pruner.start(PRUNE_INTERVAL_MS);
  closer.add('the removal of old ids of calls', () => pruner.stop());
  const shared = {
    config,
    knex,
    databases,
    urgent,
    accessLimitMs: timeoutMs,
    retention: BigInt(config.secretRetentionDays) * MICROSECONDS_A_DAY,
    coherence,
    changes: coherence.changes,
    replicaId,
    broadcast: coherence.broadcast,
    owners: new ChangeAudienceRepository(knex),
    stopping: stopping.signal,
    keyring,
    requests,
    ...writers,
    clock,
    timers,
    logger,
    metrics,
    cacheTtlMs,
  };
  const rightsReader = new CallerRightsRepository(knex);
  const services = { ...shared, rightsReader, rights: new WatcherRights(rightsReader) };
  const secrets = secretServices(services);
  const parts = { ...services, secrets };
  const { chain, methods, owners, memory, hub, judge } = addTokensAndAccounts(server, parts, closer);
  methods.push(...addCheck(server, config, judge, chain));
  methods.push(...addSecrets(server, services, secrets, chain, closer));
  const manifests = new ManifestService({
    services: { ...owners, ...secrets },
    transaction: new JoinedServices({ ...services, memory }),
    access: secrets.access,
    clock,
  });
  methods.push(
    ...addService(server, ManifestServiceService, manifestHandlers(manifests), chain),
    ...addStatus(server, services, chain),
  );
  const auditService = new AuditService({ events: new AuditRepository(knex), rightsReader });
  methods.push(...addService(server, AuditServiceService, auditHandlers(auditService), chain));
  const conflicts = new ConflictService({ knex, rightsReader });
  methods.push(...addService(server, ImportServiceService, conflictHandlers(conflicts), chain));

  const { health, methods: open } = addHealth(server, {
    ...services,
    databaseUrl,
    keys,
    toleranceMs: coherence.outageMs,
  });
  methods.push(...open);

  const { bindings } = secrets;
  closer.add('the binding of stored values', () => bindings.stop());
  await bindings.start(BINDING_INTERVAL_MS, BINDING_PATIENCE_MS);
  const counts = noConnections();
  const limits = await connectionLimits(config, logger);
  const rules = new Map(methods.map((rule) => [rule.path, rule]));
  const frontDoor = new FrontDoor({ ...chain, methods: rules, limits, counts });
  metrics.watchConnections(counts, () => frontDoor.connections, limits.inAll);
  metrics.watchWork(() => frontDoor.work);
  closer.add('the connections', () => frontDoor.stop());

  await coherence.start(closer);
  const port = await listen(server, config.listen, serverCredentials(await readServerTls(config)));
  const young = config.http2GcWorkaround ? keepStreamsYoung(server, logger) : undefined;
  metrics.watchYoungStreams(() => young?.areKept === true);
  frontDoor.guard(server);
  const gatewayParts = { ...chain, judge, access: secrets.access, metrics: metrics.gateways };
  const gateways = await openGateways(config, gatewayParts, limits);
  closer.add('the calls under way', () => {
    const limitMs = config.shutdownSeconds * 1000;
    const drained = Promise.all([drain(server, limitMs), gateways?.close(limitMs)]);
    frontDoor.leave();
    return drained;
  });
  closer.add('the streams without an end', () => {
    stopping.abort(stoppingError());
    return undefined;
  });
  closer.add('the clients that hold verdicts', () => hub.leave());
  closer.add('health', () => {
    health.stop();
    return undefined;
  });
  await health.start();
  const reload = async (): Promise<void> => {
    const tls = await readServerTls(config);
    if (tls === undefined) return;
    renewTls(server, tls);
    gateways?.renew(tls);
  };
  return { port, gatewayPort: gateways?.port, metrics, readiness: () => health.readiness, reload };
}

interface ServiceDependencies extends Audit {
  readonly config: Config;
  readonly knex: Database;
  readonly databases: Databases;
  /** Connections for what waits for no change. */
  readonly urgent: Database;
  /** Milliseconds that an access may take. */
  readonly accessLimitMs: number;
  /** Microseconds for which a deleted secret can be brought back. */
  readonly retention: bigint;
  readonly coherence: Coherence;
  readonly changes: Coherence['changes'];
  readonly secrets: SecretServices;
  readonly replicaId: string;
  readonly broadcast: FeedBroadcast;
  readonly owners: ChangeAudienceRepository;
  readonly rightsReader: CallerRightsRepository;
  readonly requests: DoneRequests;
  readonly rights: WatcherRights;
  /** Aborted when streams that have no end of their own must end. */
  readonly stopping: AbortSignal;
  readonly keyring: Keyring;
  readonly clock: Clock;
  readonly timers: Timers;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly cacheTtlMs: number;
}

/** addTokensAndAccounts gives the chain that all calls go through: who calls is a matter of tokens and users. */
function addTokensAndAccounts(
  server: Server,
  dependencies: ServiceDependencies,
  closer: Closer,
): {
  chain: ChainDependencies;
  methods: MethodRule[];
  owners: OwnerServices;
  memory: Memory;
  hub: HolderHub<VerdictRecord>;
  judge: Judge;
} {
  const { config, knex, coherence, authentications, clock, logger, metrics, cacheTtlMs } = dependencies;
  const { urgent, databases, stopping } = dependencies;
  const tokens = new TokenRepository(knex);
  const facts = new VerdictRepository(urgent);
  const cache = new VerdictCache({
    fetch: (digests) => facts.fetch(digests),
    ownerOf: ({ owner }) => owner,
    toRecord: (known, owner, staleAt) => new VerdictRecord(known, owner, staleAt, encodeValid(known)),
    clock,
    maxEntries: config.cacheMaxEntries,
    ttlMs: cacheTtlMs,
  });
  const usage = new UsageRecorder(tokens, logger);
  usage.start(USAGE_INTERVAL_MS);
  closer.add('the times of use', () => usage.stop());
  const records = coherence.guard(cache);
  const verdicts = new Verdicts(records, usage, clock);
  const callers = new CallerRightsRepository(urgent);
  const certificateUsers = new CertificateUsers({
    findUsers: (usernames) => callers.findCertificateUsers(usernames),
    ttlMs: cacheTtlMs,
    clock,
  });
  const certificates = new CertificateCallers(
    coherence.guard(certificateUsers),
    config.tlsClientScopes,
    clock,
  );
  const memory: Memory = {
    evict: (digests) => {
      cache.evict(digests);
    },
    evictProfiles: (profileIds) => {
      cache.evictProfiles(profileIds);
    },
    evictOwners: (matches) => {
      cache.evictOwners(matches);
    },
    evictUsers: () => {
      certificateUsers.clear();
    },
  };
  const owners = ownerServices({ ...dependencies, memory });
  owners.pruner.start(PRUNE_INTERVAL_MS);
  closer.add('the removal of old references', () => owners.pruner.stop());

  const counts = noValidations();
  metrics.watch({ validations: counts, caches: { tokens: cache }, pool: databases.use });

  const authenticator = new CredentialsAuthenticator(verdicts, certificates);
  const limits = new CallerLimits({ calls: config.maxCallsPerCaller, streams: config.maxStreamsPerCaller });
  const { fastLane } = config;
  const chain = { authenticator, authentications, logger, calls: metrics.calls, limits, stopping, fastLane };
  const watch = tokenWatch({
    ...dependencies,
    tokens,
    references: new ReferenceRepository(knex, TOKEN_REFERENCES),
  });
  const { hub, holdVerdicts } = startHolders({
    ...dependencies,
    records,
    usage,
    counts,
    metrics: metrics.holders,
  });
  const ofTokens = addService(
    server,
    { ...FastTokenService, holdVerdicts: HOLD_VERDICTS },
    {
      holdVerdicts,
      ...validateHandlers(verdicts, counts),
      ...tokenHandlers(owners.tokens, clock),
      ...tokenReferenceHandlers(owners.references),
      ...tokenWatchHandlers(watch, clock),
    },
    chain,
  );
  const ofAccounts = addService(
    server,
    AccountServiceService,
    { ...accountHandlers(owners.accounts, clock), ...idHandlers(idService(dependencies)) },
    chain,
  );
  const judge = new Judge(verdicts, counts);
  return { chain, methods: [...ofTokens, ...ofAccounts], owners, memory, hub, judge };
}
