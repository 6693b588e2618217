// An empty handler in grpc-js with ts-proto's codecs: what any gRPC service in this language costs. It gives
// everybody the answer that it was started with, and sends its port to the process that started it.
import { Server, ServerCredentials } from '@grpc/grpc-js';
import { TokenServiceService, ValidateTokenResponse } from '../../dist/gen/keyward/token/v1/token_service.js';

const answer = ValidateTokenResponse.decode(Buffer.from(process.argv[2], 'base64'));

// With the library's own defaults.
const server = new Server();
server.addService(
  { validateToken: TokenServiceService.validateToken },
  { validateToken: (_call, callback) => callback(null, answer) },
);
server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  process.send({ port });
});
