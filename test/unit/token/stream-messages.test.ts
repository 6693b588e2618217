import { createFileRegistry, fromBinary, type DescMessage } from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { expect, test } from 'vitest';
import { FILE_DESCRIPTOR_SET } from '../../../src/gen/file-descriptor-set.js';

const registry = createFileRegistry(
  fromBinary(FileDescriptorSetSchema, Buffer.from(FILE_DESCRIPTOR_SET, 'base64')),
);

function fieldsOf(name: string): unknown[] {
  const message: DescMessage | undefined = registry.getMessage(`keyward.token.v1.${name}`);
  if (message === undefined) throw new Error(`the protos do not describe ${name}`);
  return message.fields.map(({ number, name: field, fieldKind, proto: { type, label, typeName } }) => {
    return { number, field, fieldKind, type, label, typeName };
  });
}

test.each(['Request', 'Response'])('StreamValidateTokens%s is ValidateToken%s in bytes', (kind) => {
  expect(fieldsOf(`StreamValidateTokens${kind}`)).toEqual(fieldsOf(`ValidateToken${kind}`));
});
