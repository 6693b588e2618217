import type { DescMessage } from '@bufbuild/protobuf';

/** What selectors may be given as in short, by the field that it is of. */
const SHORT: Readonly<Record<string, string>> = { locator: 'recordLocator', account: 'accountNumber' };

/**
 * expandSelector writes a selector's short form out. What has several fields is a message within the selector: its fields may be given
 * as the selector's own, so `{ name, account }` is `{ ownedName: { name, accountNumber: account } }`.
 */
export function expandSelector(
  desc: DescMessage,
  given: Readonly<Record<string, unknown>>,
): Readonly<Record<string, unknown>> {
  if (!desc.name.endsWith('Selector')) return given;
  const isField = (message: DescMessage, key: string): boolean =>
    message.fields.some(({ localName }) => localName === key);
  const named = Object.fromEntries(
    Object.entries(given)
      .filter(([, value]) => value !== undefined)
      .map(([key, value]) => [isField(desc, key) ? key : (SHORT[key] ?? key), value]),
  );
  const keys = Object.keys(named);
  if (keys.every((key) => isField(desc, key))) return named;
  const within = desc.fields.find(
    ({ message }) => message !== undefined && keys.every((key) => isField(message, key)),
  );
  return within === undefined ? named : { [within.localName]: named };
}
