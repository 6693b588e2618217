import { defineConfig } from 'eslint/config';
import prettier from 'eslint-config-prettier';
import { createNodeResolver, importX } from 'eslint-plugin-import-x';
import tseslint from 'typescript-eslint';

/** A resource's side towards gRPC: handlers, and what they use to translate messages. */
const TRANSLATORS = '*-{handler,messages,codec}.ts';
/** Only these files know the generated messages; everything beneath them speaks the domain's own types. */
const GENERATED_CODE_USERS = ['src/{gen,rpc,client}/**', `src/**/${TRANSLATORS}`];
/** The packages that callers install. They know nothing of the service but its protocol. */
const CLIENTS = ['clients/*/src/**'];
/** Only these files speak to a database. */
const DATABASE_USERS = ['src/{db,smarter}/**', 'src/**/*-repository.ts'];
/** These hand a database connection on, so they may name its type. */
const COMPOSERS = ['src/server*.ts', 'src/cli/**'];

/** Each of these has its own folder, handlers and tables. */
const RESOURCES = ['token', 'secret', 'account', 'audit'];

/**
 * What each folder may import besides itself. Each names only folders above it here, so that no two import each other.
 * `cli` and `server*.ts` put everything together, and nothing imports them.
 */
const IMPORTS = {
  lib: [],
  crypto: ['lib'],
  telemetry: ['lib'],
  'config.ts': ['crypto', 'telemetry', 'lib'],
  client: ['gen', 'lib'],
  db: ['telemetry', 'lib'],
  authz: ['db', 'lib'],
  idempotency: ['authz', 'db', 'lib'],
  coherence: ['authz', 'db', 'telemetry', 'crypto', 'lib'],
  rpc: ['coherence', 'authz', 'config.ts', 'telemetry', 'gen', 'lib'],
  audit: ['rpc', 'authz', 'db', 'telemetry', 'gen', 'lib'],
  watch: ['rpc', 'coherence', 'authz', 'gen', 'lib'],
  token: [
    'watch',
    'audit',
    'rpc',
    'coherence',
    'idempotency',
    'authz',
    'db',
    'telemetry',
    'crypto',
    'gen',
    'lib',
  ],
  secret: [
    'watch',
    'audit',
    'rpc',
    'coherence',
    'idempotency',
    'authz',
    'db',
    'telemetry',
    'crypto',
    'gen',
    'lib',
  ],
  authn: ['token', 'audit', 'rpc', 'coherence', 'authz', 'crypto', 'lib'],
  holders: ['secret', 'token', 'rpc', 'coherence', 'authz', 'crypto', 'gen', 'lib'],
  gateway: ['secret', 'token', 'rpc', 'authz', 'telemetry', 'gen', 'lib'],
  status: ['rpc', 'coherence', 'authz', 'db', 'gen', 'lib'],
  account: ['token', 'audit', 'rpc', 'coherence', 'idempotency', 'authz', 'db', 'gen', 'lib'],
  manifest: ['account', 'secret', 'token', 'rpc', 'coherence', 'authz', 'gen', 'lib'],
  smarter: ['account', 'token', 'secret', 'audit', 'rpc', 'coherence', 'authz', 'db', 'crypto', 'gen', 'lib'],
};

/** Within those folders: handlers call services, services call rules and repositories. */
const IMPORT_DIRECTIONS = [
  ...Object.entries(IMPORTS).map(([folder, others]) => only(folder, [folder, ...others])),
  never('./src/!(cli)/**', ['./src/cli/**'], 'nothing imports a command'),
  never('./src/*.ts', ['./src/cli/**'], 'nothing imports a command'),
  never(
    `./src/**/${TRANSLATORS}`,
    ['./src/db/**', './src/smarter/**/!(*-service).ts', './src/**/*-repository.ts'],
    'a handler translates between proto and service',
  ),
  never(
    `./src/{token,secret,account,audit,authn,watch,manifest,holders,status}/**/!(*-handler|*-messages|*-codec|authenticator).ts`,
    ['./src/rpc/**', `./src/**/${TRANSLATORS}`],
    'the domain knows no transport',
  ),
  never('./src/**/*-repository.ts', ['./src/**/*-service.ts'], 'services use repositories'),
  ...RESOURCES.map((resource) =>
    never(
      `./src/${resource}/**`,
      RESOURCES.filter((other) => other !== resource).map(
        (other) => `./src/${other}/**/*-{handler,repository}.ts`,
      ),
      'resources keep their own storage',
    ),
  ),
];

/** In the clients: what holds verdicts knows no transport, so that a simulation can drive it. */
const CLIENT_IMPORTS = [
  never('./clients/node/src/**', ['./src/**'], 'the service is no part of a client'),
  never('./src/**', ['./clients/**'], 'the service takes the package, by its name'),
  never(
    './clients/node/src/memory/**',
    ['./clients/node/src/!(memory|gen)/**', './clients/node/src/*.ts'],
    'memory is pure',
  ),
  never(
    './clients/node/src/transport/**',
    ['./clients/node/src/!(transport|gen)/**'],
    'calls know no memory',
  ),
];

const FORBIDDEN_CLOCKS = [
  { selector: "MemberExpression[object.name='Date'][property.name='now']", message: 'Take a Clock.' },
  { selector: "NewExpression[callee.name='Date'][arguments.length=0]", message: 'Take a Clock.' },
  { selector: "CallExpression[callee.name='Date']", message: 'Take a Clock.' },
];

/** Names from others may hold what a terminal obeys: output.ts escapes it, so that no command can forget to. */
const FORBIDDEN_WRITES = [
  {
    selector: "MemberExpression[property.name='write'][object.property.name=/^std(out|err)$/]",
    message: 'Print by src/cli/io/output.ts.',
  },
];

export default defineConfig(
  { ignores: ['**/dist', 'coverage', 'src/gen', 'clients/*/src/gen'] },
  { linterOptions: { reportUnusedDisableDirectives: 'error' } },
  tseslint.configs.strictTypeChecked,
  {
    plugins: { 'import-x': importX },
    languageOptions: {
      parserOptions: {
        projectService: { allowDefaultProject: ['*.js', '*.ts'] },
        tsconfigRootDir: import.meta.dirname,
      },
    },
    settings: {
      'import-x/extensions': ['.ts', '.js', '.mjs'],
      'import-x/parsers': { '@typescript-eslint/parser': ['.ts'] },
      'import-x/resolver-next': [
        createNodeResolver({ extensions: ['.ts', '.js', '.mjs'], extensionAlias: { '.js': ['.ts', '.js'] } }),
      ],
    },
    rules: {
      eqeqeq: ['error', 'smart'],
      'max-lines': ['error', 400],
      'import-x/no-cycle': 'error',
      '@typescript-eslint/no-confusing-void-expression': [
        'error',
        { ignoreArrowShorthand: true, ignoreVoidReturningFunctions: true },
      ],
      '@typescript-eslint/no-floating-promises': 'error',
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_', varsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/consistent-type-imports': ['error', { fixStyle: 'inline-type-imports' }],
      '@typescript-eslint/switch-exhaustiveness-check': [
        'error',
        { considerDefaultExhaustiveForUnions: true },
      ],
    },
  },
  {
    files: ['src/**'],
    rules: {
      'no-restricted-syntax': ['error', ...FORBIDDEN_CLOCKS, ...FORBIDDEN_WRITES],
      'import-x/no-restricted-paths': ['error', { zones: IMPORT_DIRECTIONS }],
    },
  },
  {
    files: CLIENTS,
    rules: {
      'no-console': 'error',
      'no-restricted-syntax': ['error', ...FORBIDDEN_CLOCKS],
      'import-x/no-restricted-paths': ['error', { zones: CLIENT_IMPORTS }],
    },
  },
  {
    files: CLIENTS,
    ignores: ['clients/node/src/{transport/grpc-js,middleware/grpc}.ts'],
    rules: restrictImports({
      regex: '^@grpc/grpc-js$',
      message: 'The published package has the library in transport/grpc-js.ts.',
    }),
  },
  { files: ['{src/lib,clients/node/src/transport}/clock.ts'], rules: { 'no-restricted-syntax': 'off' } },
  { files: ['src/cli/io/output.ts'], rules: { 'no-restricted-syntax': ['error', ...FORBIDDEN_CLOCKS] } },
  { files: ['src/**'], ignores: ['src/cli/main.ts'], rules: { 'no-console': 'error' } },
  {
    files: ['src/cli/main.ts'],
    rules: {
      'no-restricted-syntax': [
        'error',
        {
          selector: 'ImportDeclaration',
          message: 'An old Node must come as far as to say that it is too old.',
        },
      ],
    },
  },
  {
    files: ['src/**'],
    ignores: [...GENERATED_CODE_USERS, ...DATABASE_USERS, ...COMPOSERS],
    rules: restrictImports(generatedCode(), databaseDrivers({ allowTypeImports: false })),
  },
  {
    files: DATABASE_USERS,
    rules: restrictImports(generatedCode()),
  },
  {
    files: GENERATED_CODE_USERS,
    rules: restrictImports(databaseDrivers({ allowTypeImports: false })),
  },
  {
    files: COMPOSERS,
    rules: restrictImports(generatedCode(), databaseDrivers({ allowTypeImports: true })),
  },
  { files: ['**/*.{js,mjs}'], extends: [tseslint.configs.disableTypeChecked] },
  prettier,
);

/** only is a zone whose files import from the named parts of `src` and from packages, from nothing else. */
function only(part, allowed) {
  return {
    target: `./src/${part}`,
    from: './src',
    except: allowed.map((each) => `./${each}`),
    message: `src/${part} imports only: ${allowed.join(', ')}.`,
  };
}

function never(target, from, message) {
  return { target, from, message: `Wrong way: ${message}.` };
}

function generatedCode() {
  return {
    // The compiled descriptors are data, not messages.
    regex: '/gen/(?!file-descriptor-set)',
    message: 'Generated messages stay in handlers with their translators, rpc/ and client/.',
  };
}

function databaseDrivers({ allowTypeImports }) {
  return {
    regex: '^(knex|pg|mysql2)(/|$)',
    allowTypeImports,
    message: 'The database is spoken to in db/, repositories and smarter/.',
  };
}

function restrictImports(...patterns) {
  return { '@typescript-eslint/no-restricted-imports': ['error', { patterns }] };
}
