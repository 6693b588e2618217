import { createFileRegistry, fromBinary, type DescField, type DescMessage } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { FILE_DESCRIPTOR_SET } from '../../src/gen/file-descriptor-set.js';
import { pathOf, type MethodName } from './rpc.js';

const registry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, Buffer.from(FILE_DESCRIPTOR_SET, 'base64')),
);

/** requestFields are the fields of an RPC's request, as the protos describe them. */
export function requestFields(name: MethodName): readonly DescField[] {
  const [, service = '', method] = pathOf(name).split('/');
  const found = registry.getService(service)?.methods.find((candidate) => candidate.name === method);
  if (found === undefined) throw new Error(`the protos do not describe ${name}`);
  return found.input.fields;
}

/** selectorOf is the selector message that a field holds, if it holds one. */
export function selectorOf(field: DescField): DescMessage | undefined {
  return field.fieldKind === 'message' && field.message.name.endsWith('Selector') ? field.message : undefined;
}
