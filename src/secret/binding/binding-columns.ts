import type { Binding } from './binding.js';

/** BindingRow is the columns of a binding. */
export interface BindingRow {
  binding: Buffer | null;
  binding_key_id: string | null;
}

export function bindingFromRow({ binding: mac, binding_key_id: keyId }: BindingRow): Binding | null {
  return mac === null || keyId === null ? null : { keyId, mac };
}
