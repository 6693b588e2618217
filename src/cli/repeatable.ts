/** addTo collects the values of an option that may be given more than once. */
export function addTo(value: string, values: readonly string[] = []): readonly string[] {
  return [...values, value];
}
