import {
  createFileRegistry,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  type DescMethod,
  type JsonValue,
  type Registry,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { Client, Metadata } from '@grpc/grpc-js';
import { channelArguments } from './channel-arguments.js';
import { FILE_DESCRIPTOR_SET } from '../../src/gen/file-descriptor-set.js';

const LIMIT_MS = 20_000;
const same = (value: Buffer): Buffer => value;
const registry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, Buffer.from(FILE_DESCRIPTOR_SET, 'base64')),
);

/** JsonCaller calls methods with messages in protobuf's JSON, as grpcurl does. */
export class JsonCaller {
  readonly #client: Client;
  readonly #metadata = new Metadata();

  constructor(address: string, token: string) {
    this.#client = new Client(...channelArguments({ server: address }));
    this.#metadata.set('authorization', `Bearer ${token}`);
  }

  /** call yields the responses: one, or those of a stream. Whoever stops reading ends the call. */
  async *call(method: DescMethod, requests: readonly JsonValue[]): AsyncGenerator<JsonValue> {
    const path = `/${method.parent.typeName}/${method.name}`;
    const deadline = Date.now() + LIMIT_MS;
    // All kinds of methods are the same on the wire: messages one way and the other.
    const call = this.#client.makeBidiStreamRequest(path, same, same, this.#metadata, { deadline });
    for (const request of requests) {
      call.write(Buffer.from(toBinary(method.input, fromJson(method.input, request, { registry }))));
    }
    call.end();
    try {
      for await (const bytes of call as AsyncIterable<Buffer>) {
        yield toJson(method.output, fromBinary(method.output, bytes), { registry });
      }
    } finally {
      call.cancel();
    }
  }

  close(): void {
    this.#client.close();
  }
}

/** describedMethods are the methods of Keyward's services, as `methodTitle` calls them. */
export function describedMethods(): ReadonlyMap<string, DescMethod> {
  return new Map(METHODS.map((method) => [methodTitle(method), method]));
}

/** methodTitle is the name of a method, with its service where another one has a method of that name. */
export function methodTitle({ name, parent }: DescMethod): string {
  const isUnique = METHODS.filter((method) => method.name === name).length === 1;
  return isUnique ? name : `${parent.name}.${name}`;
}

function methodsOf(known: Registry): DescMethod[] {
  const services = [...known].filter((type) => type.kind === 'service');
  return services.filter(({ typeName }) => typeName.startsWith('keyward.')).flatMap(({ methods }) => methods);
}

const METHODS = methodsOf(registry);
