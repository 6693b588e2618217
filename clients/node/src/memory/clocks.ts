/** Clocks are both clocks of a machine, in milliseconds. Either may be turned, or stand still, alone. */
export interface Clocks {
  /** Since a moment that is nobody's business. */
  monotonicMs(): number;
  /** Since 1970. */
  wallMs(): number;
}

/** Moment is a time by both clocks. */
export interface Moment {
  readonly monotonicMs: number;
  readonly wallMs: number;
}

export function momentOf(clocks: Clocks): Moment {
  return { monotonicMs: clocks.monotonicMs(), wallMs: clocks.wallMs() };
}

/** after is the moment that is so much later by either clock. */
export function after({ monotonicMs, wallMs }: Moment, ms: number): Moment {
  return { monotonicMs: monotonicMs + ms, wallMs: wallMs + ms };
}

/** NEVER comes by neither clock. */
export const NEVER: Moment = { monotonicMs: Infinity, wallMs: Infinity };

/** isOver tells whether a moment has come by at least one clock. */
export function isOver(moment: Moment, clocks: Clocks): boolean {
  return isOverAt(moment, clocks.monotonicMs(), clocks.wallMs());
}

/** isOverAt is isOver for who has read the clocks. */
export function isOverAt(moment: Moment, monotonicMs: number, wallMs: number): boolean {
  return monotonicMs >= moment.monotonicMs || wallMs >= moment.wallMs;
}
