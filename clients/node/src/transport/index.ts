/** What a program needs to call the service with messages of its own. The service's own commands are such a program. */
export { KeywardCallError, toCallError } from './call-error.js';
export { DEFAULT_SERVER } from './channel.js';
export { usesTls, type ChannelSettings } from './channel-settings.js';
export { checkHealth } from './health.js';
export { callsOf, type GeneratedMethod, type GeneratedService, type RequestType } from './methods.js';
export { timeoutOf } from './safety.js';
export { isLoopback } from './server-address.js';
export { Transport, type CallOptions, type ConnectOptions, type WireMethod } from './transport.js';
export { StatusCode } from './status-code.js';
