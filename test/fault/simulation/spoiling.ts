/** Broken methods see those that they replace. */
type Broken<T> = (originals: T) => Partial<T> & ThisType<T>;

/** spoiling replaces methods of all objects of a class until what is returned is called. */
export function spoiling<T extends object>(prototype: T, broken: Broken<T>): () => void {
  const descriptors = Object.entries(Object.getOwnPropertyDescriptors(prototype));
  const methods = descriptors.map(([name, { value }]: [string, PropertyDescriptor]) => [
    name,
    value as unknown,
  ]);
  const replaced = broken(Object.fromEntries(methods) as T);
  Object.assign(prototype, replaced);
  return () => {
    for (const [name, descriptor] of descriptors)
      if (name in replaced) Object.defineProperty(prototype, name, descriptor);
  };
}

/** spoilingGetter replaces a getter likewise. */
export function spoilingGetter<T extends object, Name extends keyof T & string>(
  prototype: T,
  name: Name,
  broken: (object: T) => T[Name],
): () => void {
  const original = Object.getOwnPropertyDescriptor(prototype, name);
  if (original === undefined) throw new Error(`there is no ${name}`);
  Object.defineProperty(prototype, name, {
    configurable: true,
    get(this: T) {
      return broken(this);
    },
  });
  return () => {
    Object.defineProperty(prototype, name, original);
  };
}
