import {
  ScalarType,
  type DescEnum,
  type DescField,
  type DescFile,
  type DescMessage,
  type DescMethod,
  type DescOneof,
  type DescService,
  type JsonValue,
} from '@bufbuild/protobuf';
import { format } from 'prettier';
import { ApiErrors, reasonsOf } from './api-errors.js';
import { apiExamples, messagesOf, type Example } from './api-examples.js';
import { DescribedProtos } from './described-protos.js';
import { methodTitle } from './json-call.js';
import { methodOf, requiredScopes } from './required-scopes.js';

const INTRODUCTION = `
# API reference

<!-- Written by \`npm run generate\` from the protos, their comments, the handlers and docs/examples. -->

The examples are in protobuf's JSON, as \`keyward call\` and grpcurl take and print it: a field is spelled as here or like
\`pageSize\`, numbers of 64 bits are strings, a time is \`"2026-01-31T09:30:00Z"\`, a span of time \`"3600s"\`. Their
responses leave parts out. Those who call present \`authorization: Bearer <token>\`: see [grpcurl](grpcurl.md) and
[scopes](scopes.md).
`;

/** apiReference is docs/api.md. */
export async function apiReference(): Promise<string> {
  const reference = new Reference(DescribedProtos.read());
  return format(reference.text(), { parser: 'markdown' });
}

class Reference {
  readonly #protos: DescribedProtos;
  readonly #errors: ApiErrors;
  readonly #examples = new Map(apiExamples().map((example) => [example.method, example]));

  constructor(protos: DescribedProtos) {
    this.#protos = protos;
    this.#errors = new ApiErrors(protos);
  }

  text(): string {
    const { files } = this.#protos;
    const services = files.flatMap((file) => file.services);
    const others = files.filter(({ proto }) => proto.package !== 'keyward.errors.v1');
    return [
      INTRODUCTION,
      contents(services),
      ...services.map((service) => this.#service(service)),
      '## Messages',
      ...others.flatMap(({ messages }) => messages.filter(isShared).map((message) => this.#message(message))),
      '## Enumerations',
      ...others.flatMap(({ enums }) => enums.map((described) => this.#enum(described))),
      this.#errorReasons(),
    ].join('\n\n');
  }

  #service(service: DescService): string {
    const { name, typeName, file, methods } = service;
    return [
      `## ${name}`,
      `\`${typeName}\`, of [${file.name}.proto](../${pathOf(file)})`,
      this.#protos.commentOf(service),
      `Errors of every method: ${quoted(this.#errors.ofEvery(service))}.`,
      ...methods.map((method) => this.#method(method)),
    ].join('\n\n');
  }

  #method(method: DescMethod): string {
    const { name, input, output, methodKind } = method;
    const title = methodTitle(method);
    const example = this.#examples.get(title);
    if (example === undefined) throw new Error(`docs/examples has no example of ${title}`);
    const errors = this.#errors.ofMethod(method);
    const scopes = requiredScopes(methodOf(`/${method.parent.typeName}/${name}`));
    return [
      `### ${title}`,
      this.#protos.commentOf(method),
      `Scope: ${quoted(scopes)}. Errors: ${errors.length === 0 ? 'those of every method' : quoted(errors)}.`,
      `${methodKind === 'bidi_streaming' ? 'Requests' : 'Request'}:`,
      this.#fields(input),
      `${methodKind === 'unary' ? 'Response' : 'Responses'}:`,
      this.#fields(output),
      exampleText(example),
    ].join('\n\n');
  }

  #message(message: DescMessage): string {
    return `### ${message.name}\n\n${this.#protos.commentOf(message)}\n\n${this.#fields(message)}`;
  }

  #fields({ members }: DescMessage): string {
    if (members.length === 0) return '- no fields';
    return members
      .map((member) => (member.kind === 'oneof' ? this.#oneof(member) : this.#field(member)))
      .join('\n');
  }

  #oneof(oneof: DescOneof): string {
    const fields = oneof.fields.map((field) => `  ${this.#field(field)}`);
    return [`- one of these: ${inline(this.#protos.commentOf(oneof))}`, ...fields].join('\n');
  }

  #field(field: DescField): string {
    return `- \`${field.name}\`, ${typeOf(field)}: ${inline(this.#protos.commentOf(field))}`;
  }

  #enum(described: DescEnum): string {
    const values = described.values
      .filter(({ number }) => number !== 0)
      .map((value) => `- \`${value.name}\`: ${inline(this.#protos.commentOf(value))}`);
    return `### ${described.name}\n\n${this.#protos.commentOf(described)}\n\n${values.join('\n')}`;
  }

  #errorReasons(): string {
    const reasons = reasonsOf(this.#protos);
    const values = reasons.values
      .filter(({ number }) => number !== 0)
      .map(
        (value) =>
          `- \`${value.name.replace('ERROR_REASON_', '')}\`: ${inline(this.#protos.commentOf(value))}`,
      );
    return [
      '## Errors',
      this.#protos.commentOf(reasons),
      `Whatever is called may also fail with ${quoted(this.#errors.ofAnyCall())}.`,
      values.join('\n'),
    ].join('\n\n');
  }
}

function contents(services: readonly DescService[]): string {
  const lines = services.map(
    ({ name, methods }) =>
      `- ${linked(name)}: ${methods.map((method) => linked(methodTitle(method))).join(', ')}`,
  );
  return [...lines, `- ${['Messages', 'Enumerations', 'Errors'].map(linked).join(', ')}`].join('\n');
}

/** isShared tells a message that is not the request or response of a method, which stands with its method. */
function isShared({ name }: DescMessage): boolean {
  return !/(Request|Response)$/.test(name);
}

function typeOf(field: DescField): string {
  if (field.fieldKind === 'map') return 'map of string to string';
  const { message, enum: described, scalar } = field;
  const one = message?.name ?? described?.name ?? (ScalarType[scalar ?? 0] ?? '').toLowerCase();
  const isOurs = (message ?? described)?.typeName.startsWith('keyward.') === true;
  const text = isOurs ? linked(one) : one;
  return field.fieldKind === 'list' ? `list of ${text}` : text;
}

function exampleText({ request, response }: Example): string {
  return `\`\`\`json\n${jsonText(request)}\n\`\`\`\n\n\`\`\`json\n${jsonText(response)}\n\`\`\``;
}

/** jsonText has the messages of a stream one after the other, as they are sent. */
function jsonText(value: JsonValue): string {
  return messagesOf(value)
    .map((message) => JSON.stringify(message, undefined, 2))
    .join('\n');
}

function linked(name: string): string {
  return `[${name}](${anchor(name)})`;
}

/** anchor is where a name is described: requests and responses are with their methods. */
function anchor(name: string): string {
  return `#${name
    .replace(/(Request|Response)$/, '')
    .replace('.', '')
    .toLowerCase()}`;
}

function pathOf(file: DescFile): string {
  return `proto/${file.name}.proto`;
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `\`${name}\``).join(', ');
}

function inline(text: string): string {
  return text.replaceAll('\n\n', ' ');
}
