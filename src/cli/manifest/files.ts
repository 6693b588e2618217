import { readdir, readFile, stat } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { text as textOf } from 'node:stream/consumers';
import type { Command } from 'commander';
import type { SecretPayload } from '../../client/index.js';
import { readManifest, type ValueSource } from '../../manifest/manifest-reader.js';
import { Violations } from '../../lib/violations.js';
import { withClientOptions, type GivenOptions } from '../client-options.js';
import { readValueFile } from '../io/given-value.js';
import { io } from '../io/io.js';
import { printErrorText } from '../io/output.js';
import { addTo } from '../repeatable.js';

/** GivenFiles is how a command is told where documents are. */
export interface GivenFiles extends GivenOptions {
  readonly file: readonly string[];
}

/** ManifestFile is a text with documents, and the values of its secrets. */
export interface ManifestFile {
  /** What messages call it. */
  readonly name: string;
  readonly manifest: string;
  readonly secretValues: readonly { readonly document: number; readonly payload: SecretPayload }[];
}

const STANDARD_INPUT = '-';
const MANIFEST = /\.(ya?ml|json)$/;
/** These are the client's own credentials and settings, and no values of secrets. */
const OWN_VARIABLE = /^KEYWARD_/;

const HELP = `
A file holds JSON or YAML, of one or several documents. The documents of one file are applied together, or none of them;
files come one after the other, those of a directory (.yaml, .yml, .json) in the order of their names.

A secret's document has no value. Its "spec.valueFrom" names a file, from the directory of the document's own file on, or an
environment variable, and this command sends what it finds there to the byte. So use documents of those you trust.`;

export function withFiles(command: Command): Command {
  return withClientOptions(command)
    .requiredOption(
      '-f, --file <FILE>',
      'a file or a directory with documents; "-" is standard input; may be given more than once',
      addTo,
    )
    .addHelpText('after', HELP);
}

/** readFiles reads all that is given before anything is asked of the service. */
export async function readFiles({ file }: GivenFiles): Promise<ManifestFile[]> {
  const names = (await Promise.all(file.map(filesIn))).flat();
  return Promise.all(names.map(readOne));
}

async function filesIn(given: string): Promise<string[]> {
  if (given === STANDARD_INPUT || !(await stat(given)).isDirectory()) return [given];
  const names = (await readdir(given)).filter((name) => MANIFEST.test(name)).sort();
  if (names.length === 0) throw new Error(`${given} has no file that ends in .yaml, .yml or .json`);
  return names.map((name) => join(given, name));
}

async function readOne(name: string): Promise<ManifestFile> {
  const isInput = name === STANDARD_INPUT;
  const manifest = isInput ? await textOf(io().stdin) : await readFile(name, 'utf8');
  const directory = isInput ? '.' : dirname(name);
  return {
    name: isInput ? 'standard input' : name,
    manifest,
    secretValues: await valuesFor(manifest, directory),
  };
}

async function valuesFor(manifest: string, directory: string): Promise<ManifestFile['secretValues']> {
  const values: { document: number; payload: SecretPayload }[] = [];
  // Of what breaks rules the service tells.
  const { documents } = readManifest(new Violations(), manifest);
  for (const [document, { valueFrom }] of documents.entries()) {
    if (valueFrom !== undefined) values.push({ document, payload: await readSource(valueFrom, directory) });
  }
  return values;
}

async function readSource(source: ValueSource, directory: string): Promise<SecretPayload> {
  if ('file' in source) return readValueFile(resolve(directory, source.file));
  const { env: name } = source;
  if (OWN_VARIABLE.test(name)) throw new Error(`${name} is a setting of Keyward, and no value of a secret`);
  const value = io().env[name];
  if (value === undefined) throw new Error(`there is no environment variable ${name}`);
  return { value: { $case: 'text', value } };
}

/** inFile tells of a failure in which of several files it is. */
export async function inFile<T>(
  files: readonly ManifestFile[],
  { name }: ManifestFile,
  call: () => Promise<T>,
): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (files.length > 1) printErrorText(`${name}:\n`);
    throw error;
  }
}
