/**
 * What calls are made by, of the gRPC library. Nothing else of the package imports it, but `middleware/grpc.ts`, which is for servers
 * of the caller's own. In the published package this file has the library in it: see `bundle-grpc-js.mjs`.
 */
export { ChannelCredentials, Client, connectivityState, Metadata, type ChannelOptions } from '@grpc/grpc-js';
