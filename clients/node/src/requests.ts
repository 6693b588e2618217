import {
  createFileRegistry,
  fromBinary,
  ScalarType,
  type DescField,
  type DescMessage,
  type FileRegistry,
} from '@bufbuild/protobuf';
import { FileDescriptorSetSchema } from '@bufbuild/protobuf/wkt';
import { FILE_DESCRIPTOR_SET } from './gen/file-descriptor-set.js';
import { invalidRequest, type Violation } from './transport/call-error.js';
import { expandSelector } from './selectors.js';

let registry: FileRegistry | undefined;

/** Made when the first request is checked: reading all descriptors takes some milliseconds. */
function descriptors(): FileRegistry {
  registry ??= createFileRegistry(
    fromBinary(FileDescriptorSetSchema, Buffer.from(FILE_DESCRIPTOR_SET, 'base64')),
  );
  return registry;
}

/** requestOf finds the description of a method's request by the method's path. */
function requestOf(path: string): DescMessage {
  const [, service = '', name = ''] = path.split('/');
  const method = descriptors()
    .getService(service)
    ?.methods.find((each) => each.name === name);
  if (method === undefined) throw new Error(`there is no description of ${path}`);
  return method.input;
}

/**
 * checkedRequest gives a request as it is encoded: short forms written out, numbers as wide as they are.
 *
 * @throws KeywardCallError (INVALID_ARGUMENT) that names every field which the request has not, or has in another form
 */
export function checkedRequest(path: string, given: object): object {
  const check = new RequestCheck();
  const request = check.message(requestOf(path), given, '');
  if (check.violations.length > 0) throw invalidRequest(check.violations);
  return request;
}

/** How the generated messages hold what has a message type of its own in the protocol. */
const WELL_KNOWN: Readonly<Record<string, { readonly rule: string; is(value: unknown): boolean }>> = {
  'google.protobuf.Timestamp': {
    rule: 'must be a valid Date',
    is: (value) => value instanceof Date && !Number.isNaN(value.getTime()),
  },
  'google.protobuf.Duration': { rule: 'must be a number of milliseconds', is: Number.isFinite },
  'google.protobuf.FieldMask': {
    rule: 'must be a list of names',
    is: (value) => Array.isArray(value) && value.every((each) => typeof each === 'string'),
  },
};

const WIDE = new Set([
  ScalarType.INT64,
  ScalarType.UINT64,
  ScalarType.FIXED64,
  ScalarType.SFIXED64,
  ScalarType.SINT64,
]);

class RequestCheck {
  readonly violations: Violation[] = [];

  message(desc: DescMessage, given: unknown, path: string): object {
    if (!isRecord(given)) {
      this.#refuse(path === '' ? 'the request' : path, 'must be an object');
      return {};
    }
    const whole = expandSelector(desc, given);
    const kept: Record<string, unknown> = {};
    for (const [key, value] of Object.entries(whole)) {
      if (value === undefined) continue;
      const field = desc.fields.find(({ localName }) => localName === key);
      const at = path === '' ? key : `${path}.${key}`;
      if (field === undefined) this.#refuse(at, 'is no field of the request');
      else kept[key] = this.#field(field, value, at);
    }
    for (const { fields } of desc.oneofs) {
      const [first, second] = fields.filter(({ localName }) => localName in kept);
      if (first !== undefined && second !== undefined) {
        const at = path === '' ? second.localName : `${path}.${second.localName}`;
        this.#refuse(at, `must not be given together with ${first.localName}`);
      }
    }
    return kept;
  }

  #field(field: DescField, value: unknown, path: string): unknown {
    if (field.fieldKind === 'list') {
      if (!Array.isArray(value)) return this.#refuse(path, 'must be a list');
      return value.map((each, at) => this.#one(field, each, `${path}[${at}]`));
    }
    if (field.fieldKind === 'map') {
      if (!isRecord(value)) return this.#refuse(path, 'must be an object');
      return Object.fromEntries(
        Object.entries(value).map(([key, each]) => [key, this.#one(field, each, `${path}.${key}`)]),
      );
    }
    return this.#one(field, value, path);
  }

  /** one checks a value, or one of those of a list or a map. */
  #one(field: DescField, value: unknown, path: string): unknown {
    if (field.message !== undefined) {
      const known = WELL_KNOWN[field.message.typeName];
      if (known === undefined) return this.message(field.message, value, path);
      return known.is(value) ? value : this.#refuse(path, known.rule);
    }
    if (field.enum !== undefined) {
      const names = field.enum.values.map(({ name }) => name);
      if (names.some((name) => name === value)) return value;
      return this.#refuse(path, `must be one of ${names.join(', ')}`);
    }
    return this.#scalar(field.scalar, value, path);
  }

  #scalar(type: ScalarType | undefined, value: unknown, path: string): unknown {
    if (type === ScalarType.STRING)
      return typeof value === 'string' ? value : this.#refuse(path, 'must be a string');
    if (type === ScalarType.BOOL)
      return typeof value === 'boolean' ? value : this.#refuse(path, 'must be true or false');
    if (type === ScalarType.BYTES)
      return value instanceof Uint8Array ? value : this.#refuse(path, 'must be a Uint8Array');
    if (type !== undefined && WIDE.has(type)) {
      const wide = Number.isSafeInteger(value) ? BigInt(value as number) : value;
      const isWide = typeof wide === 'bigint' && BigInt.asIntN(64, wide) === wide;
      return isWide ? wide : this.#refuse(path, 'must be a bigint, or a safe integer');
    }
    return Number.isInteger(value) && Math.abs(value as number) < 2 ** 31
      ? value
      : this.#refuse(path, 'must be an integer');
  }

  #refuse(field: string, rule: string): unknown {
    this.violations.push({ field, rule });
    return undefined;
  }
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}
