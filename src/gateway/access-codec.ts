import {
  createFileRegistry,
  fromBinary,
  fromJson,
  toBinary,
  toJson,
  type JsonValue,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { FILE_DESCRIPTOR_SET } from '../gen/file-descriptor-set.js';
import {
  SecretServiceService,
  type AccessSecretRequest,
  type AccessSecretResponse,
} from '../gen/keyward/secret/v1/secret_service.js';
import { Malformed } from '../rpc/chain.js';

const { requestDeserialize, responseSerialize } = SecretServiceService.accessSecret;
const { input, output } = describedMethod();

/** readAccessJson reads an AccessSecretRequest in protobuf's JSON. */
export function readAccessJson(text: string): AccessSecretRequest | Malformed {
  try {
    return requestDeserialize(Buffer.from(toBinary(input, fromJson(input, JSON.parse(text) as JsonValue))));
  } catch (error) {
    return new Malformed(error);
  }
}

/** accessJson is an AccessSecretResponse in protobuf's JSON. */
export function accessJson(response: AccessSecretResponse): JsonValue {
  return toJson(output, fromBinary(output, responseSerialize(response)));
}

function describedMethod() {
  const files = fromBinary(FileDescriptorSetSchema, Buffer.from(FILE_DESCRIPTOR_SET, 'base64'));
  const service = createFileRegistry(files).getService('keyward.secret.v1.SecretService');
  const method = service?.methods.find(({ name }) => name === 'AccessSecret');
  if (method === undefined) throw new Error('the protos do not describe AccessSecret');
  return method;
}
