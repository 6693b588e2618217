/**
 * What credentials are good for, told in a way of its own: as the set of things that can be done with them. Nothing
 * here comes from the service.
 */

/** Person is whom a credential stands for, with their profiles. */
export interface Person {
  readonly isStaff: boolean;
  readonly isSuperuser: boolean;
  readonly profiles: readonly Place[];
}

/** Place is a user profile in its account. */
export interface Place {
  readonly profileId: string;
  readonly accountId: string;
  readonly isPlatform: boolean;
}

/** Credential is a plaintext, or a certificate, as it is at one moment. */
export interface Credential {
  readonly name: string;
  readonly person: Person;
  readonly scopes: readonly string[];
  /** Whether token, user and account are switched on. */
  readonly isOn: boolean;
  /** Seconds since 1970 after which it is refused; Infinity for never. */
  readonly endsAt: number;
}

/** Vault is a secret: whose value it holds, copies included, where it is, and to whom it was granted. */
export interface Vault {
  readonly value: string;
  readonly place: Place;
  readonly grantees: readonly string[];
}

/** The one scope with which values can be had. */
const ACCESS = 'keyward.secrets.access';

/** Scopes of which each credential holds some: the last one is held by those alone that hold everything. */
const SAMPLES = [
  'keyward.tokens.validate',
  'keyward.tokens.write',
  'keyward.accounts.write',
  ACCESS,
  'app.read',
  'app.write',
  'app.*',
  'billing',
  'of-everything-alone',
];

export function passes({ isOn, endsAt }: Credential, at: number): boolean {
  return isOn && at <= endsAt;
}

export function holds(scopes: readonly string[], scope: string): boolean {
  return scopes.some((own) => own === '*' || own === scope || (own === 'app.*' && scope.startsWith('app.')));
}

/** deedsOf is what a person can do in these places with a scope, and with the secrets that there are. */
function deedsOf(
  { isStaff, isSuperuser, profiles }: Person,
  scope: string,
  places: readonly Place[],
  vaults: readonly Vault[],
): Set<string> {
  const deeds = new Set(['be heard']);
  if (profiles.length === 0) return deeds;
  if (isSuperuser) deeds.add('administer');
  const isMine = (profileId: string) => profiles.some((own) => own.profileId === profileId);
  const manages = ({ profileId, accountId }: Place) =>
    isSuperuser || isMine(profileId) || (isStaff && profiles.some((own) => own.accountId === accountId));
  for (const place of places) {
    const { profileId, accountId, isPlatform } = place;
    const isNear = profiles.some((own) => own.accountId === accountId);
    if (manages(place)) deeds.add(`manage ${profileId}`);
    if (isSuperuser || isNear || isPlatform) deeds.add(`read ${profileId}`);
  }
  if (scope !== ACCESS) return deeds;
  for (const { value, place, grantees } of vaults) {
    if (manages(place) || grantees.some(isMine)) deeds.add(`have the value of ${value}`);
  }
  return deeds;
}

/** Hand is the credentials that somebody has at a moment, and the secrets that there are then. */
export interface Hand {
  readonly credentials: readonly Credential[];
  readonly vaults: readonly Vault[];
}

/**
 * gained tells what can be done with the credentials at hand, now or ever, that could not be done now with those at
 * hand before; undefined if there is nothing. `places` are those that there are now, and so are the secrets of `after`.
 */
export function gained(before: Hand, after: Hand, places: readonly Place[], now: number): string | undefined {
  const ever = now + 10 * 365 * 86_400;
  for (const credential of after.credentials) {
    if (!passes(credential, now) && !passes(credential, ever)) continue;
    for (const scope of SAMPLES.filter((sample) => holds(credential.scopes, sample))) {
      const deeds = deedsOf(credential.person, scope, places, after.vaults);
      const had = before.credentials
        .filter((each) => passes(each, now) && holds(each.scopes, scope))
        .map((each) => deedsOf(each.person, scope, places, before.vaults));
      const deed = [...deeds].find((each) => !had.some((some) => some.has(each)));
      if (deed !== undefined) return `${credential.name} can ${deed} with the scope ${scope}`;
    }
  }
  return undefined;
}
