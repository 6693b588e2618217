import { execFileSync } from 'node:child_process';
import { createFileRegistry, fromBinary, type AnyDesc, type DescFile } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';

/** The numbers of fields in descriptor.proto that lead to what is described. */
const IN_FILE = { message: 4, enum: 5, service: 6 } as const;
const IN_MESSAGE = { field: 2, oneof: 8 } as const;
const OF_SERVICE_OR_ENUM = 2;

/** DescribedProtos are Keyward's protos with their comments, which the program itself does not hold. */
export class DescribedProtos {
  readonly files: readonly DescFile[];
  readonly #comments = new Map<AnyDesc, string>();

  /** read compiles the protos of the checkout. */
  static read(): DescribedProtos {
    const root = new URL('../../', import.meta.url);
    const buf = new URL('node_modules/.bin/buf', root).pathname;
    const bytes = execFileSync(buf, ['build', '--as-file-descriptor-set', '--output', '-#format=binpb'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'inherit'],
      maxBuffer: 16 * 1024 * 1024,
    });
    return new DescribedProtos(bytes);
  }

  private constructor(bytes: Uint8Array) {
    const { files } = createFileRegistry(fromBinary(FileDescriptorSetSchema, bytes));
    this.files = [...files]
      .filter(({ proto }) => proto.package.startsWith('keyward.'))
      .sort((a, b) => a.name.localeCompare(b.name));
    for (const file of this.files) this.#keepComments(file);
  }

  /** commentOf is a comment as paragraphs, each of one line. */
  commentOf(desc: AnyDesc): string {
    const paragraphs = (this.#comments.get(desc) ?? '').trim().split(/\n\s*\n/);
    return paragraphs.map((lines) => lines.trim().replace(/\s*\n\s*/g, ' ')).join('\n\n');
  }

  #keepComments(file: DescFile): void {
    const locations = file.proto.sourceCodeInfo?.location ?? [];
    const byPath = new Map(locations.map(({ path, leadingComments }) => [path.join(), leadingComments]));
    const keep = (desc: AnyDesc, ...path: number[]): void => {
      this.#comments.set(desc, byPath.get(path.join()) ?? '');
    };
    file.messages.forEach((message, at) => {
      keep(message, IN_FILE.message, at);
      message.fields.forEach((field, index) => {
        keep(field, IN_FILE.message, at, IN_MESSAGE.field, index);
      });
      message.oneofs.forEach((oneof, index) => {
        keep(oneof, IN_FILE.message, at, IN_MESSAGE.oneof, index);
      });
    });
    file.enums.forEach((described, at) => {
      keep(described, IN_FILE.enum, at);
      described.values.forEach((value, index) => {
        keep(value, IN_FILE.enum, at, OF_SERVICE_OR_ENUM, index);
      });
    });
    file.services.forEach((service, at) => {
      keep(service, IN_FILE.service, at);
      service.methods.forEach((method, index) => {
        keep(method, IN_FILE.service, at, OF_SERVICE_OR_ENUM, index);
      });
    });
  }
}
