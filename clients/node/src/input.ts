import type { Membership, UserProfileSelector } from './gen/keyward/account/v1/account.js';
import type { OwnedSecretName } from './gen/keyward/secret/v1/secret.js';
import type { OwnedName } from './gen/keyward/token/v1/token.js';

type Plain = string | number | boolean | Date | Uint8Array | undefined;

/** The public form of an id, which is a selector's `recordLocator`. */
interface ByLocator {
  readonly locator: string;
}

/** A name among those of an account, of a user profile, or, with neither, of the caller's own. */
interface ByName {
  readonly name: string;
  /** An account number. */
  readonly account?: string;
  readonly userProfile?: Input<UserProfileSelector>;
}

interface ByMembership {
  readonly username: string;
  /** An account number. */
  readonly account: string;
}

/** Fields are those of a message, each of which may be left out. */
type Fields<Message> = { readonly [Field in keyof Message]?: Input<Message[Field]> };

/**
 * Input is what a request may be given as: fields that are left out have their defaults, 64-bit numbers may be given as numbers,
 * and selectors in short: `{ locator }`, `{ name, account }`, `{ username, account }`.
 */
export type Input<Message> = Message extends Plain
  ? Message
  : Message extends bigint
    ? bigint | number
    : Message extends readonly (infer Item)[]
      ? readonly Input<Item>[]
      : Message extends { ownedName?: OwnedName | OwnedSecretName | undefined }
        ? Fields<Message> | ByLocator | ByName
        : Message extends { membership?: Membership | undefined }
          ? Fields<Message> | ByLocator | ByMembership
          : Message extends { recordLocator?: string | undefined; accountNumber?: string | undefined }
            ? Fields<Message> | ByLocator
            : Fields<Message>;
