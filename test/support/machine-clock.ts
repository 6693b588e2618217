/** machineNow is milliseconds by a clock that all processes of this machine share and that nobody sets. */
export function machineNow(): number {
  return Number(process.hrtime.bigint()) / 1e6;
}
