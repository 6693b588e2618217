/** Rule is what the value of an option must be. */
export interface Rule {
  /** Goes on after "must be". */
  readonly what: string;
  readonly is: (value: unknown) => boolean;
}

/** Rules has one for each option. */
export type Rules<Options> = Readonly<Record<keyof Options, Rule>>;

export const YES_OR_NO: Rule = { what: 'true or false', is: (value) => typeof value === 'boolean' };
export const TEXT: Rule = { what: 'a text', is: (value) => typeof value === 'string' };
export const FUNCTION: Rule = { what: 'a function', is: (value) => typeof value === 'function' };
export const MILLISECONDS: Rule = {
  what: 'a number of milliseconds above 0',
  is: (value) => typeof value === 'number' && value > 0,
};
export const TEXTS: Rule = {
  what: 'a list of texts',
  is: (value) => Array.isArray(value) && value.every(TEXT.is),
};

/** wholeNumber is the rule of a number from 1 to a limit. */
export function wholeNumber(max: number): Rule {
  return {
    what: `a whole number from 1 to ${max}`,
    is: (value) => Number.isInteger(value) && (value as number) >= 1 && (value as number) <= max,
  };
}

/**
 * checkOptions refuses what is no option, which may be one that is misspelt, and values that an option cannot have. Values are not
 * told: they may be secret.
 *
 * @throws Error that names each
 */
export function checkOptions<Options extends object>(
  whose: string,
  options: Options,
  rules: Rules<Options>,
): void {
  if (typeof options !== 'object') throw new Error(`the options of ${whose} must be an object`);
  const wrong = Object.entries(options).flatMap(([name, value]) => {
    if (!Object.hasOwn(rules, name))
      return [`${name} is no option of ${whose}: ${Object.keys(rules).join(', ')}`];
    const { what, is } = rules[name as keyof Options];
    return value === undefined || is(value) ? [] : [`the option ${name} of ${whose} must be ${what}`];
  });
  if (wrong.length > 0) throw new Error(wrong.join('; '));
}
