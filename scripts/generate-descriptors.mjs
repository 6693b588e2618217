/**
 * Writes the protos as compiled descriptors: src/gen/file-descriptor-set.ts, which server reflection serves, and that
 * of the Node client, which checks requests by it.
 * Comments are left out: they are three quarters of the bytes, and no reflection client needs them.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { parse } from 'yaml';

const LINE_LENGTH = 100;
const SERVICE_OUTPUT = 'src/gen/file-descriptor-set.ts';
const CLIENT_OUTPUT = 'clients/node/src/gen/file-descriptor-set.ts';

const [{ types }] = parse(readFileSync('clients/node/buf.gen.yaml', 'utf8')).inputs;
write(SERVICE_OUTPUT, []);
write(
  CLIENT_OUTPUT,
  types.flatMap((type) => ['--type', type]),
);

function write(output, selection) {
  const descriptors = execFileSync(
    'buf',
    [
      'build',
      '--as-file-descriptor-set',
      '--exclude-source-info',
      '--output',
      '-#format=binpb',
      ...selection,
    ],
    { stdio: ['ignore', 'pipe', 'inherit'] },
  ).toString('base64');

  const lines = descriptors.match(new RegExp(`.{1,${LINE_LENGTH}}`, 'g')) ?? [];
  const literal = lines.map((line) => `  '${line}'`).join(' +\n');

  writeFileSync(
    output,
    `// Written by scripts/generate-descriptors.mjs. DO NOT EDIT.

/* eslint-disable */

/** FILE_DESCRIPTOR_SET is a google.protobuf.FileDescriptorSet of every proto and its imports, in base64. */
export const FILE_DESCRIPTOR_SET =
${literal};
`,
  );
}
