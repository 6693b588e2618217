import type { Server } from '@grpc/grpc-js';
import type { Config } from './config.js';
import { CheckCodec } from './gateway/check-codec.js';
import { checkHandlers } from './gateway/check-handler.js';
import type { GatewayServer, GatewayServerDependencies } from './gateway/gateway-server.js';
import type { Judge } from './gateway/judge.js';
import type { ChainDependencies } from './rpc/chain.js';
import type { ConnectionLimits } from './rpc/front-door/connection-limits.js';
import type { MethodRule } from './rpc/front-door/method-rules.js';
import { readServerTls } from './rpc/server-tls.js';
import { addService } from './rpc/service.js';

export const CHECK_SERVICE = 'envoy.service.auth.v3.Authorization';

/** A gateway has some dozen connections. */
const MAX_CONNECTIONS = 1024;

/** addCheck serves Envoy's question beside Keyward's own methods. */
export function addCheck(
  server: Server,
  config: Config,
  judge: Judge,
  chain: ChainDependencies,
): MethodRule[] {
  const codec = new CheckCodec({
    credentialHeaders: config.gatewayCredentialHeaders,
    removesCredential: config.gatewayRemoveCredential,
  });
  return addService(server, codec.service, checkHandlers(judge, codec), chain);
}

type Parts = ChainDependencies & Pick<GatewayServerDependencies, 'judge' | 'access' | 'metrics'>;

/** openGateways listens for gateways where that is wanted. What it needs is loaded then. */
export async function openGateways(
  config: Config,
  { judge, access, metrics, ...chain }: Parts,
  { inAll, idleSeconds, requestSeconds }: ConnectionLimits,
): Promise<GatewayServer | undefined> {
  if (config.gatewayListen === undefined) return undefined;
  const { GatewayServer } = await import('./gateway/gateway-server.js');
  return GatewayServer.open(config.gatewayListen, await readServerTls(config), {
    judge,
    access,
    metrics,
    // These requests are counted as such; the chain logs them.
    chain: { ...chain, calls: { ended: () => undefined, answeredAtOnce: () => ({ count: 0 }) } },
    credentialHeaders: config.gatewayCredentialHeaders,
    maxConnections: Math.min(inAll, MAX_CONNECTIONS),
    requestMs: requestSeconds * 1000,
    idleMs: idleSeconds * 1000,
  });
}
