/**
 * Puts the gRPC library into the one built file that imports it, and its licences beside it, for the package that is published:
 * installed by itself the library brings 32 more packages, for what a client never uses. Within this repository the client goes on
 * importing the library, as `npm run build` leaves it.
 */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { build } from 'esbuild';

const file = join(import.meta.dirname, 'dist/transport/grpc-js.js');
const licences = join(import.meta.dirname, 'dist/THIRD_PARTY_LICENSES.txt');

/** Reads .proto files, for the services that tell of a server's own channels and load. The library loads it when these are asked for. */
const LEFT_OUT = ['@grpc/proto-loader'];

const { metafile } = await build({
  entryPoints: [file],
  outfile: file,
  allowOverwrite: true,
  bundle: true,
  platform: 'node',
  target: 'node20.19',
  format: 'cjs',
  external: LEFT_OUT,
  // Names stay, so that traces can be read.
  minifyWhitespace: true,
  minifySyntax: true,
  legalComments: 'none',
  metafile: true,
});

const packages = [...new Set(Object.keys(metafile.inputs).map(packageOf).filter(Boolean))].sort();
writeFileSync(licences, packages.map(licenceOf).join('\n\n'));
console.error(`${relative(process.cwd(), file)} has ${packages.map(nameOf).join(', ')} in it`);

/** packageOf is the directory of the package that a file comes from; undefined of this package's own. */
function packageOf(input) {
  const path = join(process.cwd(), input);
  if (!path.includes('/node_modules/')) return undefined;
  let directory = dirname(path);
  while (!existsSync(join(directory, 'package.json'))) directory = dirname(directory);
  return directory;
}

function nameOf(directory) {
  const { name, version } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'));
  return `${name} ${version}`;
}

function licenceOf(directory) {
  return `${nameOf(directory)}\n\n${readFileSync(join(directory, 'LICENSE'), 'utf8')}`;
}
