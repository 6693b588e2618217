import type { DescEnum, DescMethod, DescService } from '@bufbuild/protobuf';
import type { DescribedProtos } from './described-protos.js';
import { methodTitle } from './json-call.js';
import { requiredScopes, methodOf } from './required-scopes.js';

const REASON = /^ERROR_REASON_/;
/** A method may say more of it, but all have it. */
const LIMIT_OF_ALL = 'REQUEST_TOO_LARGE';
const EVERY_METHOD = /^Every method may fail/;
const OTHERS_ERRORS = /\berrors (?:as for|are those of) (?:\w+\.)?(\w+)(?: and (?:\w+\.)?(\w+))?/i;

/** ApiErrors tells by which reasons calls may fail, from the comments of the protos and from what requests hold. */
export class ApiErrors {
  readonly #protos: DescribedProtos;
  readonly #reasons: readonly string[];
  readonly #methods: ReadonlyMap<string, DescMethod>;

  constructor(protos: DescribedProtos) {
    this.#protos = protos;
    this.#reasons = reasonsOf(protos).values.map(({ name }) => name.replace(REASON, ''));
    const services = protos.files.flatMap((file) => file.services);
    this.#methods = new Map(
      services.flatMap(({ methods }) => methods.map((m) => [methodTitle(m), m] as const)),
    );
  }

  /** ofEvery are those of every method of a service. */
  ofEvery(service: DescService): string[] {
    const paragraphs = this.#protos.commentOf(service).split('\n\n');
    return this.#namedIn(
      paragraphs
        .filter((text) => EVERY_METHOD.test(text))
        .join()
        .split('Methods that')[0] ?? '',
    );
  }

  /** ofMethod are the further ones of one method. */
  ofMethod(method: DescMethod): string[] {
    const every = this.ofEvery(method.parent);
    const own = new Set([...this.#ofComment(method), ...ofRequest(method)]);
    return this.#reasons.filter((reason) => own.has(reason) && !every.includes(reason));
  }

  /** ofAnyCall are those that no method alone is said to have: whatever is called may fail so. */
  ofAnyCall(): string[] {
    const methods = [...this.#methods.values()];
    const said = new Set(
      methods.flatMap((method) => [...this.ofEvery(method.parent), ...this.ofMethod(method)]),
    );
    return this.#reasons.filter(
      (reason) => reason !== 'UNSPECIFIED' && (reason === LIMIT_OF_ALL || !said.has(reason)),
    );
  }

  #ofComment(method: DescMethod): string[] {
    const comment = this.#protos.commentOf(method);
    const [, ...others] = OTHERS_ERRORS.exec(comment) ?? [];
    const theirs = others.filter(Boolean).flatMap((name) => {
      const other = this.#methods.get(name);
      if (other === undefined) throw new Error(`${method.name} is said to have the errors of ${name}`);
      return this.#ofComment(other);
    });
    return [...this.#namedIn(comment), ...theirs];
  }

  #namedIn(text: string): string[] {
    const words = new Set(text.match(/\b[A-Z][A-Z_]+\b/g) ?? []);
    return this.#reasons.filter((reason) => words.has(reason));
  }
}

/** reasonsOf is the list of all reasons. */
export function reasonsOf(protos: DescribedProtos): DescEnum {
  const found = protos.files.flatMap((file) => file.enums).find(({ name }) => name === 'ErrorReason');
  if (found === undefined) throw new Error('the protos have no ErrorReason');
  return found;
}

/** ofRequest are the reasons that follow from the fields of a request: what is named may be missing, an etag stale. */
function ofRequest(method: DescMethod): string[] {
  const fields = method.input.fields;
  const selectors = fields.filter(({ message }) => message?.name.endsWith('Selector'));
  const holdsNames = selectors.some(({ message }) =>
    message?.fields.some(({ name }) => name === 'owned_name'),
  );
  const writes = requiredScopes(methodOf(`/${method.parent.typeName}/${method.name}`))[0]?.endsWith('.write');
  return [
    ...(selectors.length > 0 ? ['NOT_FOUND'] : []),
    ...(holdsNames ? ['NAME_AMBIGUOUS'] : []),
    ...(selectors.length > 0 && writes === true ? ['NOT_PERMITTED'] : []),
    ...(fields.some(({ name }) => name === 'etag') ? ['ETAG_MISMATCH'] : []),
    ...(fields.some(({ name }) => name === 'request_id') ? ['REQUEST_ALREADY_DONE'] : []),
  ];
}
