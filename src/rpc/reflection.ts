import { type Server, type ServerDuplexStream, type ServiceDefinition, status } from '@grpc/grpc-js';
import type { UntypedServiceImplementation } from '@grpc/grpc-js';
import { FILE_DESCRIPTOR_SET } from '../gen/file-descriptor-set.js';
import {
  ServerReflectionService as ReflectionV1,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../gen/grpc/reflection/v1/reflection.js';
import { ServerReflectionService as ReflectionV1Alpha } from '../gen/grpc/reflection/v1alpha/reflection.js';
import { DescriptorIndex } from './descriptor-index.js';
import { endStreamOn } from './end-stream.js';
import { openMethods, type MethodRule } from './front-door/method-rules.js';
import { admissionOf } from './front-door/guarded-stream.js';

const REFLECTION_SERVICES = [
  'grpc.reflection.v1.ServerReflection',
  'grpc.reflection.v1alpha.ServerReflection',
];

type Answer = NonNullable<ServerReflectionResponse['messageResponse']>;
type ReflectionStream = ServerDuplexStream<ServerReflectionRequest, ServerReflectionResponse>;

interface OfferedService {
  readonly definition: ServiceDefinition;
  readonly implementation: UntypedServiceImplementation;
}

/** addReflection serves all forms of reflection, and gives the rules of their methods. See reflectionServices. */
export function addReflection(
  server: Pick<Server, 'addService'>,
  ...offered: Parameters<typeof reflectionServices>
): MethodRule[] {
  return reflectionServices(...offered).flatMap(({ definition, implementation }) => {
    server.addService(definition, implementation);
    return openMethods(definition);
  });
}

/**
 * reflectionServices are the v1 and v1alpha forms of server reflection, for `server.addService`. Their messages
 * are the same, so one handler serves both. The descriptors are sent as buf compiled them, complete with
 * imports, json_name and proto3_optional, without which strict clients refuse them.
 *
 * @param serviceNames full names of the services that the server offers besides reflection itself.
 * @param stopping ends every stream, with its reason, once it is aborted.
 */
export function reflectionServices(serviceNames: readonly string[], stopping: AbortSignal): OfferedService[] {
  const index = new DescriptorIndex(Buffer.from(FILE_DESCRIPTOR_SET, 'base64'));
  const offered = [...new Set([...serviceNames, ...REFLECTION_SERVICES])].sort();

  const serverReflectionInfo = (stream: ReflectionStream): void => {
    const sent = new Set<string>();
    stream.on('data', (request: ServerReflectionRequest) => {
      const messageResponse = answer(request.messageRequest, { index, offered, sent });
      // A client that asks without reading must not fill this process's memory with answers.
      if (stream.write({ validHost: request.host, originalRequest: request, messageResponse })) return;
      stream.pause();
      stream.once('drain', () => stream.resume());
    });
    stream.on('end', () => stream.end());
    endStreamOn(admissionOf(stream)?.fault?.signal, stream);
    endStreamOn(stopping, stream);
  };

  return [ReflectionV1, ReflectionV1Alpha].map((service) => ({
    definition: { serverReflectionInfo: { ...service.serverReflectionInfo, requestDeserialize } },
    implementation: { serverReflectionInfo },
  }));
}

/** requestDeserialize takes unreadable bytes for an empty request, which is answered with INVALID_ARGUMENT. */
function requestDeserialize(bytes: Buffer): ServerReflectionRequest {
  try {
    return ReflectionV1.serverReflectionInfo.requestDeserialize(bytes);
  } catch {
    return { host: '', messageRequest: undefined };
  }
}

interface Known {
  readonly index: DescriptorIndex;
  readonly offered: readonly string[];
  /** Paths of the files that this stream has sent already. */
  readonly sent: Set<string>;
}

function answer(asked: ServerReflectionRequest['messageRequest'], { index, offered, sent }: Known): Answer {
  const file = (found: ReturnType<DescriptorIndex['fileByPath']>, what: string): Answer =>
    found
      ? { $case: 'fileDescriptorResponse', value: { fileDescriptorProto: index.withImports(found, sent) } }
      : failure(status.NOT_FOUND, `There is no such ${what}.`);

  switch (asked?.$case) {
    case 'fileByFilename':
      return file(index.fileByPath(asked.value), 'file');
    case 'fileContainingSymbol':
      return file(index.fileOfSymbol(asked.value), 'symbol');
    case 'fileContainingExtension':
      return failure(status.NOT_FOUND, 'There is no such extension: these protos define none.');
    case 'allExtensionNumbersOfType':
      return index.isMessage(asked.value)
        ? { $case: 'allExtensionNumbersResponse', value: { baseTypeName: asked.value, extensionNumber: [] } }
        : failure(status.NOT_FOUND, 'There is no such message type.');
    case 'listServices':
      return { $case: 'listServicesResponse', value: { service: offered.map((name) => ({ name })) } };
    case undefined:
      return failure(status.INVALID_ARGUMENT, 'The request asks for nothing that this service knows.');
  }
}

function failure(errorCode: status, errorMessage: string): Answer {
  return { $case: 'errorResponse', value: { errorCode, errorMessage } };
}
