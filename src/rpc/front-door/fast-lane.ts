import type { IncomingHttpHeaders } from 'node:http2';
import type { Deadline } from './deadline.js';
import { MessageSender } from './response.js';

/** How long a call may stay on the lane. Nearly every message comes, and ends, right behind its headers. */
const PATIENCE_MS = 20;

/** LaneCall is a call that memory may be able to answer, and that the library has not been given yet. */
export interface LaneCall {
  /** Where it is on the lane; undefined when it is not there. */
  place: number | undefined;
  /** leaveLane has it go the way of all others from here on. */
  leaveLane(): void;
}

/**
 * FastLane has the calls whose message may yet be answered from memory. Where message or end is long in coming they leave it: the
 * library keeps their deadlines, and has an answer to whatever else becomes of them.
 */
export class FastLane {
  readonly answers = new MessageSender();
  readonly #calls: LaneCall[] = [];
  #timer: NodeJS.Timeout | undefined;

  enter(call: LaneCall): void {
    call.place = this.#calls.length;
    this.#calls.push(call);
    this.#timer ??= setTimeout(() => {
      this.clear();
    }, PATIENCE_MS).unref();
  }

  leave(call: LaneCall): void {
    const { place } = call;
    const last = this.#calls.pop();
    call.place = undefined;
    if (last === undefined || last === call || place === undefined) return;
    this.#calls[place] = last;
    last.place = place;
  }

  /** clear has all that are there leave. */
  clear(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    for (const call of [...this.#calls]) call.leaveLane();
  }
}

/** isPlain tells whether nothing in the headers but the credentials decides the answer: the library refuses what is no time. */
export function isPlain(headers: IncomingHttpHeaders, deadline: Deadline | undefined): boolean {
  return headers[':method'] === 'POST' && (deadline !== undefined || headers['grpc-timeout'] === undefined);
}
