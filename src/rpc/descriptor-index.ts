import { fromBinary, toBinary } from '@bufbuild/protobuf';
import {
  type DescriptorProto,
  type EnumDescriptorProto,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';

interface IndexedFile {
  readonly name: string;
  readonly dependencies: readonly string[];
  /** The serialized FileDescriptorProto, ready to be sent, in memory of its own: shared memory would stay with it. */
  readonly bytes: Buffer;
}

/** DescriptorIndex finds the proto file of a path or of a fully-qualified name. */
export class DescriptorIndex {
  readonly #byPath = new Map<string, IndexedFile>();
  readonly #bySymbol = new Map<string, IndexedFile>();
  readonly #messages = new Set<string>();

  /** @param descriptorSet a serialized google.protobuf.FileDescriptorSet that holds its imports as well. */
  constructor(descriptorSet: Uint8Array) {
    for (const proto of fromBinary(FileDescriptorSetSchema, descriptorSet).file) {
      const { buffer, byteOffset, length } = toBinary(FileDescriptorProtoSchema, proto);
      const bytes = Buffer.from(buffer, byteOffset, length);
      const file: IndexedFile = { name: proto.name, dependencies: proto.dependency, bytes };
      this.#byPath.set(file.name, file);
      for (const symbol of symbolsOfFile(proto)) this.#bySymbol.set(symbol, file);
      for (const message of proto.messageType) this.#addMessage(proto.package, message);
    }
  }

  fileByPath(path: string): IndexedFile | undefined {
    return this.#byPath.get(path);
  }

  /** fileOfSymbol knows services, methods, messages, fields, oneofs, enums and their values, nested ones too. */
  fileOfSymbol(fullName: string): IndexedFile | undefined {
    return this.#bySymbol.get(fullName);
  }

  isMessage(fullName: string): boolean {
    return this.#messages.has(fullName);
  }

  /**
   * withImports is the file, then each direct and indirect import that is not in `sent`, and adds them all to
   * `sent`. The file itself comes even when it was sent before, as in grpc-go: it is what was asked for.
   */
  withImports(file: IndexedFile, sent: Set<string>): Buffer[] {
    sent.add(file.name);
    const queue = [file];
    for (const { dependencies } of queue) {
      for (const path of dependencies) {
        const imported = this.#byPath.get(path);
        if (!imported || sent.has(path)) continue;
        sent.add(path);
        queue.push(imported);
      }
    }
    return queue.map(({ bytes }) => bytes);
  }

  #addMessage(scope: string, message: DescriptorProto): void {
    const fullName = join(scope, message.name);
    this.#messages.add(fullName);
    for (const nested of message.nestedType) this.#addMessage(fullName, nested);
  }
}

function symbolsOfFile(file: FileDescriptorProto): string[] {
  return [
    ...file.messageType.flatMap((message) => symbolsOfMessage(file.package, message)),
    ...file.enumType.flatMap((each) => symbolsOfEnum(file.package, each)),
    ...file.service.flatMap((service) => symbolsOfScope(join(file.package, service.name), service.method)),
  ];
}

function symbolsOfMessage(scope: string, message: DescriptorProto): string[] {
  const fullName = join(scope, message.name);
  return [
    ...symbolsOfScope(fullName, [...message.field, ...message.oneofDecl]),
    ...message.nestedType.flatMap((nested) => symbolsOfMessage(fullName, nested)),
    ...message.enumType.flatMap((each) => symbolsOfEnum(fullName, each)),
  ];
}

/** symbolsOfEnum: the values of an enum are its siblings, not its children, as in C++. */
function symbolsOfEnum(scope: string, { name, value }: EnumDescriptorProto): string[] {
  return [name, ...value.map((each) => each.name)].map((each) => join(scope, each));
}

function symbolsOfScope(scope: string, members: readonly { readonly name: string }[]): string[] {
  return [scope, ...members.map(({ name }) => join(scope, name))];
}

function join(scope: string, name: string): string {
  return scope === '' ? name : `${scope}.${name}`;
}
