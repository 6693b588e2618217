import { execFile, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import { fromBinary } from '@bufbuild/protobuf';
import {
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
} from '@bufbuild/protobuf/wkt';
import { Client, credentials, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FILE_DESCRIPTOR_SET } from '../../../src/gen/file-descriptor-set.js';
import {
  ServerReflectionClient as ClientV1,
  type ServerReflectionRequest,
  type ServerReflectionResponse,
} from '../../../src/gen/grpc/reflection/v1/reflection.js';
import { ServerReflectionClient as ClientV1Alpha } from '../../../src/gen/grpc/reflection/v1alpha/reflection.js';
import { reflectionServices } from '../../../src/rpc/reflection.js';

const OFFERED = [
  'keyward.token.v1.TokenService',
  'keyward.account.v1.AccountService',
  'grpc.health.v1.Health',
];
const REFLECTION = ['grpc.reflection.v1.ServerReflection', 'grpc.reflection.v1alpha.ServerReflection'];
const RAW_PATH = '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo';

const run = promisify(execFile);
const hasGrpcurl = spawnSync('grpcurl', ['-version']).error === undefined;
if (!hasGrpcurl) console.warn('SKIPPED: reflection is not tried with grpcurl, which is not on the PATH');

/** serve starts a server that offers these forms of reflection alone, and gives its address. */
async function serve(forms: ReturnType<typeof reflectionServices>): Promise<string> {
  const server = new Server();
  servers.push(server);
  for (const { definition, implementation } of forms) server.addService(definition, implementation);
  const bind = promisify(server.bindAsync.bind(server));
  return `127.0.0.1:${await bind('127.0.0.1:0', ServerCredentials.createInsecure())}`;
}

const servers: Server[] = [];
let address: string;
/** Clients fall back to v1alpha only where v1 is missing. */
let alphaOnlyAddress: string;

beforeAll(async () => {
  const forms = reflectionServices(OFFERED, new AbortController().signal);
  address = await serve(forms);
  alphaOnlyAddress = await serve(forms.slice(1));
});

afterAll(() => {
  for (const server of servers) server.forceShutdown();
});

describe.skipIf(!hasGrpcurl).each(['v1', 'v1alpha'])('grpcurl with reflection %s', (version) => {
  const grpcurl = async (...args: string[]) => {
    const target = version === 'v1' ? address : alphaOnlyAddress;
    return (await run('grpcurl', ['-plaintext', target, ...args])).stdout;
  };

  test('lists the services that are offered', async () => {
    expect((await grpcurl('list')).trim().split('\n')).toEqual([...OFFERED, ...REFLECTION].sort());
  });

  test('lists the methods of a service', async () => {
    expect(await grpcurl('list', 'keyward.token.v1.TokenService')).toContain(
      'keyward.token.v1.TokenService.ValidateToken\n',
    );
  });

  test('describes every service, and the methods and messages it leads to', async () => {
    const services = await grpcurl('describe');
    for (const name of [...OFFERED, ...REFLECTION]) expect(services).toContain(`${name} is a service`);
    for (const name of [
      'google.rpc.BadRequest',
      'google.rpc.BadRequest.FieldViolation',
      'google.rpc.ErrorInfo',
    ]) {
      expect(await grpcurl('describe', name)).toContain(`${name} is a message`);
    }
    expect(await grpcurl('describe', 'keyward.token.v1.TokenService.ValidateToken')).toContain('is a method');
    expect(await grpcurl('describe', 'keyward.errors.v1.ErrorReason')).toContain('is an enum');
  });

  test('says that a symbol is unknown', async () => {
    await expect(grpcurl('describe', 'keyward.Nothing')).rejects.toThrow(/not found/i);
  });
});

describe.each(['grpc-v1', 'grpc-v1alpha'])('buf curl, a strict client, with reflection %s', (version) => {
  test('lists services', async () => {
    const listed = await bufCurl('--list-services', '--reflect-protocol', version);
    for (const name of OFFERED) expect(listed).toContain(name);
  });

  test('lists methods, which needs complete descriptors', async () => {
    const listed = await bufCurl('--list-methods', '--reflect-protocol', version);
    expect(listed).toContain('keyward.token.v1.TokenService/ValidateToken');
    expect(listed).toContain('grpc.health.v1.Health/Check');
  });
});

describe.each([
  ['v1', ClientV1],
  ['v1alpha', ClientV1Alpha],
])('a reflection %s stream', (_, ReflectionClient) => {
  /** ask sends the requests on one stream and gives the answers in order. */
  async function ask(
    ...requests: ServerReflectionRequest['messageRequest'][]
  ): Promise<ServerReflectionResponse[]> {
    const client = new ReflectionClient(address, credentials.createInsecure());
    const stream = client.serverReflectionInfo();
    const answers: ServerReflectionResponse[] = [];
    stream.on('data', (answer: ServerReflectionResponse) => answers.push(answer));
    for (const messageRequest of requests) stream.write({ host: 'here', messageRequest });
    stream.end();
    await once(stream, 'end');
    client.close();
    return answers;
  }

  const symbol = (value: string) => ({ $case: 'fileContainingSymbol', value }) as const;

  test('sends the asked file first, with all it needs, and imports once', async () => {
    const [first, second, third] = await ask(
      symbol('keyward.token.v1.TokenService'),
      { $case: 'fileByFilename', value: 'keyward/account/v1/account_service.proto' },
      { $case: 'fileByFilename', value: 'keyward/account/v1/account_service.proto' },
    );
    const before = filesOf(first);
    expect(before[0]?.name).toBe('keyward/token/v1/token_service.proto');
    const names = before.map(({ name }) => name);
    expect(new Set(names).size).toBe(names.length);
    for (const { dependency } of before) expect(names).toEqual(expect.arrayContaining(dependency));

    const after = filesOf(second).map(({ name }) => name);
    expect(after[0]).toBe('keyward/account/v1/account_service.proto');
    expect(names.filter((name) => after.includes(name))).toEqual([]);

    expect(filesOf(third).map(({ name }) => name)).toEqual(['keyward/account/v1/account_service.proto']);
  });

  test.each([
    ['a service', 'keyward.token.v1.TokenService', 'keyward/token/v1/token_service.proto'],
    ['a method', 'keyward.token.v1.TokenService.ValidateToken', 'keyward/token/v1/token_service.proto'],
    ['a message', 'google.rpc.BadRequest', 'google/rpc/error_details.proto'],
    ['a nested message', 'google.rpc.BadRequest.FieldViolation', 'google/rpc/error_details.proto'],
    ['a field', 'google.rpc.BadRequest.FieldViolation.field', 'google/rpc/error_details.proto'],
    ['a map entry', 'google.rpc.ErrorInfo.MetadataEntry', 'google/rpc/error_details.proto'],
    ['an enum', 'keyward.errors.v1.ErrorReason', 'keyward/errors/v1/error_reason.proto'],
    ['an enum value', 'keyward.errors.v1.ERROR_REASON_UNSPECIFIED', 'keyward/errors/v1/error_reason.proto'],
    ['a nested enum', 'grpc.health.v1.HealthCheckResponse.ServingStatus', 'grpc/health/v1/health.proto'],
    ['a nested enum value', 'grpc.health.v1.HealthCheckResponse.SERVING', 'grpc/health/v1/health.proto'],
    [
      'a oneof',
      'grpc.reflection.v1.ServerReflectionRequest.message_request',
      'grpc/reflection/v1/reflection.proto',
    ],
  ])('finds the file of %s', async (_kind, name, path) => {
    const [answer] = await ask(symbol(name));
    expect(filesOf(answer)[0]?.name).toBe(path);
  });

  test('answers what it does not know in the stream, and goes on', async () => {
    const answers = await ask(
      symbol('no.such.Symbol'),
      symbol(''),
      symbol('__proto__'),
      symbol('x'.repeat(1_000_000)),
      { $case: 'fileByFilename', value: '../../etc/passwd' },
      {
        $case: 'fileContainingExtension',
        value: { containingType: 'google.rpc.Status', extensionNumber: -1 },
      },
      { $case: 'allExtensionNumbersOfType', value: 'no.such.Type' },
      undefined,
      { $case: 'allExtensionNumbersOfType', value: 'google.rpc.Status' },
      { $case: 'listServices', value: '*' },
    );
    const notFound = Array<status>(7).fill(status.NOT_FOUND);
    expect(answers.slice(0, 8).map(errorCodeOf)).toEqual([...notFound, status.INVALID_ARGUMENT]);
    expect(answers[8]?.messageResponse).toEqual({
      $case: 'allExtensionNumbersResponse',
      value: { baseTypeName: 'google.rpc.Status', extensionNumber: [] },
    });
    expect(answers[9]?.messageResponse?.$case).toBe('listServicesResponse');
    expect(answers[9]?.validHost).toBe('here');
    expect(answers[9]?.originalRequest?.messageRequest).toEqual({ $case: 'listServices', value: '*' });
  });
});

test('bytes that are no request get INVALID_ARGUMENT, never INTERNAL', async () => {
  const client = new Client(address, credentials.createInsecure());
  const same = (bytes: Buffer) => bytes;
  const stream = client.makeBidiStreamRequest<Buffer, Buffer>(RAW_PATH, same, same);
  const ended = once(stream, 'status');
  let answers = 0;
  stream.on('data', () => (answers += 1));
  for (const bytes of ['ff', '0a05', '0affffffff0f', '1a02c328', '2a', 'ffffffffffffffffffffff', '0b0c']) {
    stream.write(Buffer.from(bytes, 'hex'));
  }
  stream.end();
  expect(await ended).toMatchObject([{ code: status.OK }]);
  expect(answers).toBe(7);
  client.close();
});

test('a client that goes away in the middle of a stream leaves the server serving', async () => {
  for (let round = 0; round < 50; round += 1) {
    const client = new ClientV1(address, credentials.createInsecure());
    const stream = client.serverReflectionInfo();
    const failed = new Promise((resolve) => stream.on('error', resolve));
    for (let request = 0; request < 20; request += 1) {
      stream.write({ host: '', messageRequest: { $case: 'listServices', value: '' } });
    }
    if (round % 2) await once(stream, 'data');
    stream.cancel();
    expect(await failed).toMatchObject({ code: status.CANCELLED });
    client.close();
  }
  expect(await bufCurl('--list-services')).toContain(OFFERED[0]);
});

test('the descriptors hold no extension, as the answer about extensions claims', () => {
  const { file } = fromBinary(FileDescriptorSetSchema, Buffer.from(FILE_DESCRIPTOR_SET, 'base64'));
  const extensions = file.flatMap((each) => [
    ...each.extension,
    ...each.messageType.flatMap((type) => type.extension),
  ]);
  expect(extensions).toEqual([]);
});

async function bufCurl(...args: string[]): Promise<string> {
  const buf = 'node_modules/.bin/buf';
  return (
    await run(buf, ['curl', '--protocol', 'grpc', '--http2-prior-knowledge', ...args, `http://${address}`])
  ).stdout;
}

function filesOf(answer: ServerReflectionResponse | undefined): FileDescriptorProto[] {
  const response = answer?.messageResponse;
  if (response?.$case !== 'fileDescriptorResponse')
    throw new Error(`not a file: ${JSON.stringify(response)}`);
  return response.value.fileDescriptorProto.map((bytes) => fromBinary(FileDescriptorProtoSchema, bytes));
}

function errorCodeOf({ messageResponse }: ServerReflectionResponse): number | undefined {
  return messageResponse?.$case === 'errorResponse' ? messageResponse.value.errorCode : undefined;
}
