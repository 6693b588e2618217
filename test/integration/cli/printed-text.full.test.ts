import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  Metadata,
  Server,
  ServerCredentials,
  status,
  type ServerUnaryCall,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';
import { AccountServiceService } from '../../../src/gen/keyward/account/v1/account_service.js';
import { AuditServiceService } from '../../../src/gen/keyward/audit/v1/audit_service.js';
import { StatusServiceService } from '../../../src/gen/keyward/coherence/v1/status_service.js';
import { ImportServiceService } from '../../../src/gen/keyward/smarter/v1/import_service.js';
import { ManifestServiceService } from '../../../src/gen/keyward/manifest/v1/manifest_service.js';
import { SecretServiceService } from '../../../src/gen/keyward/secret/v1/secret_service.js';
import { TokenServiceService } from '../../../src/gen/keyward/token/v1/token_service.js';
import { BadRequest, ErrorInfo } from '../../../src/gen/google/rpc/error_details.js';
import { Status } from '../../../src/gen/google/rpc/status.js';
import { keyward, runKeyward, type CommandResult } from '../../support/keyward-command.js';
import { TEST_KEY } from '../../support/keyring.js';
import { execute } from '../../support/sql.js';
import { NASTY, unprintableIn } from '../../support/unprintable.js';
import { existing, World, type Issued, type Kept } from '../../support/world.js';

/** What each command that asks a service is given besides its options. */
const CLIENT_COMMANDS: Readonly<Record<string, readonly string[]>> = {
  'keys rotate': ['--dry-run'],
  'keys status': [],
  'secret list': ['--deleted'],
  'secret get': ['$SECRET'],
  'secret access': ['$SECRET'],
  'secret set': ['$SECRET', '--description', NASTY],
  'secret versions': ['$SECRET'],
  'secret rotate': ['$SECRET'],
  'secret refs': ['$SECRET'],
  'secret grants': ['$SECRET'],
  'secret clone': ['$SECRET', NASTY],
  'secret transfer': ['$SECRET', NASTY],
  'secret delete': ['$SECRET', '--force'],
  'secret undelete': ['$SECRET'],
  'token create': [NASTY, '--out', '-'],
  'token list': [],
  'token get': ['$KEY'],
  'token validate': ['$TOKEN'],
  'token rotate': ['$KEY', '--out', '-'],
  'token deactivate': ['$KEY'],
  'token activate': ['$KEY'],
  'token clone': ['$KEY', NASTY, '--out', '-'],
  'token rename': ['$KEY', NASTY],
  'token transfer': ['$KEY', NASTY],
  'token refs': ['$KEY'],
  'token revoke': ['$KEY', '--etag', NASTY],
  apply: ['-f', '-'],
  get: ['secret', '$SECRET'],
  diff: ['-f', '-'],
  validate: ['$TOKEN'],
  resolve: ['$SECRET'],
  call: ['keyward.secret.v1.SecretService/ListSecrets'],
  health: [],
  status: [],
};
/** Those that show such texts if all goes well. */
const SHOW_TEXTS =
  /^(call(?! .*ListImportConflicts)|validate|get|resolve|secret (list|get|versions|refs|grants)|token (list|get|validate|activate)) /;
/** These ask no service. */
const OTHER_COMMANDS = [
  ...['serve', 'migrate', 'bootstrap', 'export-smarter', 'shadow', 'upgrade-database'],
  ...['import-smarter conflicts', 'import-smarter resolve', 'audit verify', 'keys generate'],
];

/** commandNames are all commands that the program has, by its own help. */
async function commandNames(path: readonly string[] = []): Promise<string[]> {
  const help = await keyward([...path, '--help']);
  const listed = [...help.slice(help.indexOf('\nCommands:')).matchAll(/^ {2}([a-z-]+) /gm)].map(
    ([, name]) => name,
  );
  const names = help.includes('\nCommands:') ? listed.filter((name) => name !== 'help') : [];
  if (names.length === 0) return [path.join(' ')];
  return (await Promise.all(names.map((name) => commandNames([...path, existing(name)])))).flat();
}

function shown({ stdout, stderr }: CommandResult): string {
  return stdout + stderr;
}

test('every command is looked at here', async () => {
  expect((await commandNames()).sort()).toEqual([...Object.keys(CLIENT_COMMANDS), ...OTHER_COMMANDS].sort());
});

describe('of a service that keeps texts of others', () => {
  let world: World;
  let kept: Kept;
  let issued: Issued;

  beforeAll(async () => {
    world = await World.create();
    kept = await world.keep('owner-a');
    issued = await world.issue('owner-a');
    const selector = { selector: { $case: 'id', value: kept.id } } as const;
    await world.admin.secrets.grantAccess({
      selector,
      userProfile: { selector: { $case: 'id', value: world.profileOf('staff-b').id } },
    });
    await world.admin.secrets.attachReference({ selector, kind: 'provider.api_key', consumer: 'x' });
    // What an import brings, and what somebody with the database can write.
    const { url } = world.database;
    const statements = [
      `UPDATE secrets SET name = $1, description = $1, version = $1, tags = ARRAY[$1], manifest_path = $1,
         annotations = jsonb_build_object($1, $1)`,
      `UPDATE tokens SET name = $1, description = $1, version = $1, tags = ARRAY[$1], manifest_path = $1,
         annotations = jsonb_build_object($1, $1) WHERE id = ${issued.id}`,
      'UPDATE secret_grants SET granted_by = $1',
      'UPDATE secret_references SET kind = $1, consumer = $1',
      `UPDATE users SET username = $1 || username, first_name = $1, email = $1 WHERE username <> 'admin'`,
      'UPDATE accounts SET name = $1, company_name = $1, description = $1',
      `UPDATE audit_events SET actor_username = $1, resource_kind = $1, detail = jsonb_build_object('name', $1)`,
    ];
    await execute(url, 'ALTER TABLE secret_versions DISABLE TRIGGER USER');
    await execute(url, 'UPDATE secret_versions SET created_by = $1', [NASTY]);
    await execute(url, 'ALTER TABLE secret_versions ENABLE TRIGGER USER');
    for (const statement of statements) await execute(url, statement.replaceAll('$1', '$1::text'), [NASTY]);
  });

  afterAll(() => world.close());

  function run(args: readonly string[]): Promise<CommandResult> {
    const values: Readonly<Record<string, string>> = {
      $SECRET: kept.secret.recordLocator,
      $TOKEN: world.tokenOf('owner-a'),
      $KEY: issued.recordLocator,
    };
    return runKeyward(
      args.map((argument) => values[argument] ?? argument),
      { env: { KEYWARD_SERVER: world.server.address, KEYWARD_TOKEN: world.adminToken }, input: 'value' },
    );
  }

  const calls = [
    'token.v1.TokenService/ListTokens',
    'account.v1.AccountService/ListAccounts',
    'account.v1.AccountService/ListUsers',
    'account.v1.AccountService/ListUserProfiles',
    'audit.v1.AuditService/ListAuditEvents',
    'smarter.v1.ImportService/ListImportConflicts',
    'secret.v1.SecretService/ListGrants',
  ].map((method) => ['call', `keyward.${method}`]);
  const commands = Object.entries(CLIENT_COMMANDS).map(([name, args]) => [...name.split(' '), ...args]);

  test.each([...commands, ...calls].map((args) => [args.slice(0, 2).join(' '), args] as const))(
    'keyward %s prints nothing that a terminal obeys',
    async (_, args) => {
      const [command, method = ''] = args;
      const request = method.endsWith('ListGrants') ? [`{"secret": {"id": "${kept.id}"}}`] : [];
      for (const json of [[], ['--json']]) {
        const result = await run([...args, ...request, ...json]);
        expect(unprintableIn(shown(result)), shown(result)).toBeUndefined();
        expect(result.stdout).not.toMatch(/^keyward: z/m);
        if (SHOW_TEXTS.test(args.join(' '))) expect(result.stdout).toMatch(/\\u(\{9b\}|009b)2J/);
        if (json.length > 0 && result.code === 0 && command !== 'call') JSON.parse(result.stdout);
      }
    },
  );

  test('JSON keeps its meaning', async () => {
    const { stdout } = await run(['secret', 'get', '$SECRET', '--json']);
    expect(JSON.parse(stdout)).toMatchObject({ name: NASTY, tags: [NASTY], annotations: { [NASTY]: NASTY } });
    const response = await run([
      'call',
      'keyward.secret.v1.SecretService/GetSecret',
      `{"secret": {"id": "${kept.id}"}}`,
    ]);
    expect(JSON.parse(response.stdout)).toMatchObject({ secret: { name: NASTY, tags: [NASTY] } });
  });

  test('what is quoted of the command line is escaped as well', async () => {
    for (const args of [
      ['secret', 'grants', '$SECRET', '--grant', NASTY],
      ['secret', 'refs', '$SECRET', '--attach', `kind=${NASTY}`],
      ['secret', 'access', '$SECRET', NASTY],
      ['secret', 'list', '--filter', NASTY],
      ['secret', 'get', NASTY, '--owner', `${NASTY}@1111-1111-1111`],
      ['secret', NASTY],
      ['token', 'create', 'x', '--out', `${NASTY}/${NASTY}`],
      ['token', 'create', 'x', '--annotation', NASTY],
      ['token', 'get', NASTY],
      ['call', NASTY],
      ['call', 'keyward.token.v1.TokenService/ListTokens', `"${NASTY}`],
      ['secret', 'list', '--token-file', NASTY],
      ['secret', 'list', '--server', NASTY],
    ]) {
      const result = await run(args);
      expect(unprintableIn(shown(result)), shown(result)).toBeUndefined();
    }
  });

  test('the audit log that somebody wrote into is told without obeying it', async () => {
    const env = { DATABASE_URL: world.database.url, KEYWARD_FERNET_KEYS: TEST_KEY };
    for (const json of [[], ['--json']]) {
      const result = await runKeyward(['audit', 'verify', ...json], { env });
      expect(result.code).toBe(1);
      expect(unprintableIn(shown(result)), shown(result)).toBeUndefined();
    }
  });
});

describe('of a service whose errors mean harm', () => {
  const server = new Server();
  let address: string;

  beforeAll(async () => {
    for (const service of [
      TokenServiceService,
      SecretServiceService,
      AccountServiceService,
      AuditServiceService,
      StatusServiceService,
      ManifestServiceService,
      ImportServiceService,
    ]) {
      const failing = Object.entries(service).map(([name, { responseStream }]) => [
        name,
        (call: ServerUnaryCall<unknown, unknown>, callback: (error: object) => void) =>
          responseStream ? call.emit('error', harmfulError()) : callback(harmfulError()),
      ]);
      server.addService(service, Object.fromEntries(failing) as UntypedServiceImplementation);
    }
    const port = await new Promise<number>((resolve, reject) => {
      server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) => {
        if (error === null) resolve(bound);
        else reject(error);
      });
    });
    address = `127.0.0.1:${port}`;
  });

  afterAll(() => server.forceShutdown());

  function harmfulError(): object {
    const metadata = new Metadata();
    const facts = new Map(['candidates', 'consumers'].map((name) => [name, NASTY]));
    const details = [
      {
        typeUrl: 'type.googleapis.com/google.rpc.ErrorInfo',
        value: Buffer.from(ErrorInfo.encode({ reason: NASTY, domain: NASTY, metadata: facts }).finish()),
      },
      {
        typeUrl: 'type.googleapis.com/google.rpc.BadRequest',
        value: Buffer.from(
          BadRequest.encode(
            BadRequest.fromPartial({ fieldViolations: [{ field: NASTY, description: NASTY }] }),
          ).finish(),
        ),
      },
    ];
    const encoded = Status.encode({ code: status.FAILED_PRECONDITION, message: NASTY, details }).finish();
    metadata.set('grpc-status-details-bin', Buffer.from(encoded));
    return { code: status.FAILED_PRECONDITION, details: NASTY, metadata };
  }

  test.each(Object.keys(CLIENT_COMMANDS))('keyward %s prints nothing that a terminal obeys', async (name) => {
    const args = existing(CLIENT_COMMANDS[name]).map((argument) =>
      /^\$(SECRET|KEY)$/.test(argument) ? '1' : argument,
    );
    const env = { KEYWARD_SERVER: address, KEYWARD_TOKEN: 'x' };
    const result = await runKeyward([...name.split(' '), ...args], { env, input: 'value' });
    // Of `diff`, 1 says that something differs.
    expect(result).toMatchObject({ code: name === 'diff' ? 2 : 1, stdout: '' });
    expect(unprintableIn(result.stderr), result.stderr).toBeUndefined();
    expect(result.stderr).not.toMatch(/^keyward: z/m);
    if (name !== 'health') expect(result.stderr).toContain(String.raw`\u{9b}2J`);
  });
});
