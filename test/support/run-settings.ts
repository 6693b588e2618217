/** RUN_SETTINGS are those that the environment gives all servers of a run, besides the level of their logs. */
export const RUN_SETTINGS: Readonly<Record<string, string>> = {
  KEYWARD_FAST_LANE: process.env['KEYWARD_FAST_LANE'] ?? 'true',
};
