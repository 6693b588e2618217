import {
  createFileRegistry,
  fromBinary,
  ScalarType,
  type DescField,
  type DescMessage,
  type DescMethod,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { FILE_DESCRIPTOR_SET } from '../../src/gen/file-descriptor-set.js';
import { pathOf, type MethodName } from './rpc.js';

const registry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, Buffer.from(FILE_DESCRIPTOR_SET, 'base64')),
);

/** requestFields are the fields of an RPC's request, as the protos describe them. */
export function requestFields(name: MethodName): readonly DescField[] {
  return describedMethod(name).input.fields;
}

/** responseFields are the same of its response. */
export function responseFields(name: MethodName): readonly DescField[] {
  return describedMethod(name).output.fields;
}

function describedMethod(name: MethodName): DescMethod {
  const [, service = '', method] = pathOf(name).split('/');
  const found = registry.getService(service)?.methods.find((candidate) => candidate.name === method);
  if (found === undefined) throw new Error(`the protos do not describe ${name}`);
  return found;
}

/** selectorOf is the selector message that a field holds, if it holds one. */
export function selectorOf(field: DescField): DescMessage | undefined {
  return field.fieldKind === 'message' && field.message.name.endsWith('Selector') ? field.message : undefined;
}

/** The second byte of two does not continue the first. */
const NOT_UTF8 = Buffer.from([0xc3, 0x28]);

/** brokenTexts are fields of which one, of text, is not UTF-8: each that there is, in messages too. */
export function brokenTexts(fields: readonly DescField[]): { path: string; bytes: Buffer }[] {
  return fieldsWith(fields, NOT_UTF8);
}

/** fieldsWith are fields that hold this text, of at most 100 bytes: each that is of text, in messages too. */
export function fieldsWith(fields: readonly DescField[], text: Buffer): { path: string; bytes: Buffer }[] {
  return fields.flatMap((field) =>
    valuesWith(field, text).map(({ path, bytes }) => ({
      path: [field.name, ...path].join('.'),
      bytes: delimited(field.number, bytes),
    })),
  );
}

function valuesWith(field: DescField, text: Buffer): { path: string[]; bytes: Buffer }[] {
  if (field.scalar === ScalarType.STRING && field.fieldKind !== 'map') return [{ path: [], bytes: text }];
  if (field.fieldKind === 'map') {
    const value = delimited(2, text);
    return [
      { path: ['key'], bytes: delimited(1, text) },
      ...(field.scalar === ScalarType.STRING ? [{ path: ['value'], bytes: value }] : []),
    ];
  }
  if (field.message === undefined) return [];
  return fieldsWith(field.message.fields, text).map(({ path, bytes }) => ({ path: [path], bytes }));
}

/** delimited makes a field of less than 128 bytes. */
function delimited(number: number, bytes: Buffer): Buffer {
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

/** fieldNames are the fields of a message of Keyward's, as the proto spells them; none where there is no such message. */
export function fieldNames(message: string): readonly string[] {
  for (const type of registry) {
    const isMeant = type.kind === 'message' && type.name === message && type.typeName.startsWith('keyward.');
    if (isMeant) return type.fields.map(({ name }) => name);
  }
  return [];
}
