import { text as textOf } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { createFileRegistry, fromBinary, fromJsonString, toBinary, toJsonString } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { loadSync, type MethodDefinition } from '@grpc/proto-loader';
import { timeoutOf, Transport } from '@keyward/client/transport';
import type { Command } from 'commander';
import { connectOptions, type ClientOptions } from '../client/channel.js';
import { FILE_DESCRIPTOR_SET } from '../gen/file-descriptor-set.js';
import { explained } from './io/call-failure.js';
import { clientOptions, withClientOptions, type GivenOptions } from './client-options.js';
import { detailLines } from './io/failure.js';
import { io } from './io/io.js';
import { printErrorText, printJsonText } from './io/output.js';

const PROTOS = fileURLToPath(new URL('../../proto', import.meta.url));
const INCLUDED = [PROTOS, `${PROTOS}/vendor`];
const SERVICE_FILES = [
  'keyward/account/v1/account_service.proto',
  'keyward/audit/v1/audit_service.proto',
  'keyward/coherence/v1/status_service.proto',
  'keyward/manifest/v1/manifest_service.proto',
  'keyward/secret/v1/secret_service.proto',
  'keyward/smarter/v1/import_service.proto',
  'keyward/token/v1/token_service.proto',
  'grpc/health/v1/health.proto',
];
const TIMEOUT_MS = 30_000;

/** callCommand is `keyward call`: what grpcurl does, for machines without it. */
export function callCommand(command: Command): void {
  withClientOptions(command)
    .argument('<method>', '<package.Service/Method>, for example keyward.token.v1.TokenService/ListTokens')
    .argument(
      '[request]',
      'the request as JSON, with the names of protobuf JSON; "-" reads it from standard input',
      '{}',
    )
    .option('--json', 'print each response as one line, and a failure as JSON on standard error')
    .action(async (method: string, request: string, given: GivenOptions) => {
      const text = request === '-' ? await textOf(io().stdin) : request;
      const options = clientOptions(given);
      try {
        const responses = call(options, method, text, given.json === true ? 0 : 2);
        for await (const response of responses) printJsonText(response);
      } catch (error) {
        printErrorText(detailLines(error));
        throw explained(error, options);
      }
    });
}

/** call yields the one response, or those of a stream, which has no deadline. */
async function* call(
  options: ClientOptions,
  name: string,
  request: string,
  indent: number,
): AsyncGenerator<string> {
  const method = findMethod(name);
  const codec = jsonCodec(name);
  const bytes = codec.encode(request);
  const transport = new Transport(connectOptions(options));
  const wire = {
    path: method.path,
    requestSerialize: (value: Uint8Array) => Buffer.from(value),
    responseDeserialize: (value: Buffer) => codec.decode(value, indent),
  };
  const limit = method.responseStream ? {} : { timeoutMs: timeoutOf(method.path, TIMEOUT_MS) };
  try {
    yield* transport.messages(wire, bytes, limit);
  } finally {
    transport.close();
  }
}

function findMethod(name: string): MethodDefinition<object, object> {
  const [serviceName = '', methodName = ''] = name.split('/');
  const definition = loadSync(SERVICE_FILES, { includeDirs: INCLUDED });
  const service = definition[serviceName];
  if (service === undefined || 'format' in service) {
    const known = Object.keys(definition).filter(
      (key) => definition[key] !== undefined && !('format' in definition[key]),
    );
    throw new Error(`there is no service ${serviceName}; there are ${known.join(', ')}`);
  }
  const method = service[methodName];
  if (method === undefined) {
    throw new Error(`${serviceName} has no method ${methodName}; it has ${Object.keys(service).join(', ')}`);
  }
  if (method.requestStream) throw new Error(`${name} takes a stream, which this command cannot send`);
  return method;
}

interface JsonCodec {
  encode(json: string): Uint8Array;
  decode(bytes: Uint8Array, indent: number): string;
}

/** jsonCodec follows protobuf's JSON mapping, well-known types included, from the descriptors of the protos. */
function jsonCodec(name: string): JsonCodec {
  const [serviceName = '', methodName = ''] = name.split('/');
  const registry = createFileRegistry(
    fromBinary(FileDescriptorSetSchema, Buffer.from(FILE_DESCRIPTOR_SET, 'base64')),
  );
  const method = registry.getService(serviceName)?.methods.find((candidate) => candidate.name === methodName);
  if (method === undefined) throw new Error(`there is no description of ${name}`);
  return {
    encode: (json) => {
      try {
        return toBinary(method.input, fromJsonString(method.input, json, { registry }));
      } catch (error) {
        throw new Error(`the request is not a ${method.input.typeName} in JSON: ${String(error)}`, {
          cause: error,
        });
      }
    },
    decode: (bytes, indent) =>
      toJsonString(method.output, fromBinary(method.output, bytes), {
        registry,
        prettySpaces: indent,
        alwaysEmitImplicit: true,
      }),
  };
}
