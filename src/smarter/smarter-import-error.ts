/** SmarterImportError ends an import; its message is for the operator and holds no credentials. */
export class SmarterImportError extends Error {
  override readonly name: string = 'SmarterImportError';
}
