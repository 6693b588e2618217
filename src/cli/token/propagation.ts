import type { Propagation } from '../../client/index.js';
import { timeText } from '../io/output.js';

/** Told is what an answer tells of a change: how far it has come. */
interface Told {
  readonly propagation?: Propagation | undefined;
}

/** propagationText tells people how far a change has come, or by when it is complete. */
export function propagationText({ propagation }: Told): string {
  if (propagation === undefined) return '';
  const { complete, pending, effectiveBy } = propagation;
  if (complete) return 'It is complete: no replica goes by what was before.';
  const by = `It is complete by ${timeText(effectiveBy, 'a time that is not known')} at the latest`;
  return pending === 0
    ? `${by}.`
    : `${by}: ${pending} ${pending === 1 ? 'replica has' : 'replicas have'} not confirmed it.`;
}

/** propagationJson is the same for programs, with the span as protobuf writes it. */
export function propagationJson({ propagation }: Told): object | undefined {
  if (propagation === undefined) return undefined;
  const { waited, ...others } = propagation;
  return { ...others, ...(waited === undefined ? {} : { waited: spanText(waited) }) };
}

/** spanText is a span as protobuf writes it. */
export function spanText({ seconds, nanos }: NonNullable<Propagation['waited']>): string {
  const sign = seconds < 0n || nanos < 0 ? '-' : '';
  const whole = seconds < 0n ? -seconds : seconds;
  return `${sign}${whole}.${String(Math.abs(nanos)).padStart(9, '0')}s`;
}
