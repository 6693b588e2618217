/** JsonChild is a member of a JSON object, or an element (without a key) of a JSON list. */
export interface JsonChild {
  readonly key: string | undefined;
  /** Compact JSON text: no white space, text escaped only where it must be, numbers as they were written. */
  readonly json: string;
}

const TOKEN = /"[^"\\]*(?:\\.[^"\\]*)*"|[{}[\],:]|[^\s"{}[\],:]+/gs;

/**
 * jsonChildren takes one level off a valid JSON list or object, in order and with repeated keys.
 * JSON.parse would round big numbers, forget how numbers were written, reorder keys and drop repeated ones.
 */
export function jsonChildren(json: string): JsonChild[] {
  const children: JsonChild[] = [];
  let depth = 0;
  let key: string | undefined;
  let child = '';
  for (const [token] of json.matchAll(TOKEN)) {
    if (token === '}' || token === ']') depth -= 1;
    const between = depth === 0 || (depth === 1 && (token === ',' || token === ':'));
    if (!between) {
      child += token.startsWith('"') ? JSON.stringify(JSON.parse(token)) : token;
    } else if (token === ':') {
      key = jsonToText(child);
      child = '';
    } else if (child !== '') {
      children.push({ key, json: child });
      key = undefined;
      child = '';
    }
    if (token === '{' || token === '[') depth += 1;
  }
  return children;
}

/** jsonToText is a JSON string's content; anything else stays compact JSON. */
export function jsonToText(json: string): string {
  return json.startsWith('"') ? (JSON.parse(json) as string) : json;
}

/** isJson tells whether a text is valid JSON. */
export function isJson(text: string): boolean {
  try {
    JSON.parse(text);
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
