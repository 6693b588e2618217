const Right = globalThis.Date;
let steppedByMs = 0;

/** SteppedDate tells the time as a machine does whose clock has been set. */
class SteppedDate extends Right {
  constructor(...args: [] | [number | string | Date]) {
    if (args.length === 0) super(SteppedDate.now());
    else super(...(args as [number]));
  }

  static override now(): number {
    return Right.now() + steppedByMs;
  }
}

/** ownWallClock gives this process a wall clock of its own. What read the time before, or kept the function, is not concerned. */
export function ownWallClock(): void {
  globalThis.Date = SteppedDate as DateConstructor;
}

/** stepWallClock sets it to so many milliseconds after the right time. */
export function stepWallClock(ms: number): void {
  steppedByMs = ms;
}
