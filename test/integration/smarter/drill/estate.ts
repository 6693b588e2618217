/** Side is where an operation is done: on the platform, or in Keyward. */
export type Side = 'platform' | 'keyward';

/** Made is anything that operations are done with, and who did some. What one side alone did tells how it must end. */
class Made {
  readonly touchedBy = new Set<Side>();
  isDeleted = false;
}

export class User extends Made {
  readonly username: string;
  /** The platform's numbers, which Keyward keeps. */
  readonly id: number;
  readonly profileId: number;
  isActive = true;

  constructor(username: string, id: number, profileId: number) {
    super();
    this.username = username;
    this.id = id;
    this.profileId = profileId;
  }
}

export class Key extends Made {
  readonly owner: User;
  readonly home: Side;
  readonly keyId: string;
  /** All its plaintexts, the one in use last. */
  readonly texts: string[];
  name: string;
  isActive = true;
  /** A request of the platform has read it, and not saved it yet. */
  isInUse = false;
  /**
   * It may be let in although it was deleted: somebody switched it on afterwards, or the platform itself deleted it, or
   * switched it off, while a request there was to save it once more, which makes it again, or sets it back.
   */
  isContested = false;

  constructor(owner: User, home: Side, keyId: string, text: string, name: string) {
    super();
    this.owner = owner;
    this.home = home;
    this.keyId = keyId;
    this.texts = [text];
    this.name = name;
  }

  get text(): string {
    return this.texts.at(-1) ?? '';
  }
}

export class Secret extends Made {
  readonly owner: User;
  readonly home: Side;
  /** Its number on the side that made it. */
  readonly number: string;
  name: string;
  value: string;

  constructor(owner: User, home: Side, number: string, name: string, value: string) {
    super();
    this.owner = owner;
    this.home = home;
    this.number = number;
    this.name = name;
    this.value = value;
  }
}

/** Estate is everything that the drill has made or found, whatever became of it. */
export interface Estate {
  readonly users: User[];
  readonly keys: Key[];
  readonly secrets: Secret[];
}
