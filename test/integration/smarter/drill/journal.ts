import { Key, Secret, User } from './estate.js';
import type { SideOperations } from './sides.js';

/** Journal remembers what was done when, so that the cause of a difference can be found: a seed repeats no timing. */
export class Journal {
  readonly #lines: string[] = [];

  note(text: string): void {
    this.#lines.push(`${new Date().toISOString()} ${text}`);
  }

  /** of is a side whose operations are noted when they are done. */
  of<Side extends SideOperations>(name: string, side: Side): Side {
    return new Proxy(side, {
      get: (target, property) => {
        const member: unknown = Reflect.get(target, property, target);
        if (typeof member !== 'function') return member;
        return async (...args: unknown[]): Promise<unknown> => {
          const result: unknown = await Reflect.apply(member, target, args);
          this.note(`${name} ${String(property)}(${args.map(textOf).join()}): ${textOf(result)}`);
          return result;
        };
      },
    });
  }

  /** about is what was done with whatever these differences are about, and what the copiers did. */
  about(differences: readonly string[]): string {
    const ids = differences.flatMap((line) => /^(?:token|key|secret) ([\w-]+)/.exec(line)?.[1] ?? []);
    const isAbout = (line: string): boolean => ids.some((id) => line.includes(id)) || / killed: /.test(line);
    return this.#lines.filter(isAbout).join('\n');
  }
}

function textOf(value: unknown): string {
  if (value instanceof User) return `user ${value.username} (${value.id})`;
  if (value instanceof Key) return `key ${value.keyId} of ${value.home}`;
  if (value instanceof Secret) return `secret ${value.number} of ${value.home}`;
  return value === undefined ? 'nothing' : JSON.stringify(value);
}
