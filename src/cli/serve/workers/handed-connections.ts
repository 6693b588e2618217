import type { ChildProcess } from 'node:child_process';

/** Handle is a connection as Node has it inside. */
interface Handle {
  close(): void;
}

/**
 * closeWhatIsNotTaken closes the connections that were being handed to a worker when it ended. node:cluster lets go of a
 * connection when the worker says that it has it; of one that ended before, it would keep the connection for as long as
 * this process lives, and the client would wait for an answer. The messages are node:cluster's own: a test says that the
 * installed version has them.
 */
export function closeWhatIsNotTaken(worker: ChildProcess): void {
  const handed = new Map<unknown, Handle>();
  const send: unknown = Reflect.get(worker, 'send');
  if (typeof send !== 'function') return;
  Reflect.set(worker, 'send', (...args: readonly unknown[]): unknown => {
    const [message, handle] = args;
    if (fieldOf(message, 'act') === 'newconn' && isHandle(handle))
      handed.set(fieldOf(message, 'seq'), handle);
    const sent: unknown = Reflect.apply(send, worker, args);
    return sent;
  });
  // Not among the events that the types know.
  const events: NodeJS.EventEmitter = worker;
  events.on('internalMessage', (message: unknown) => {
    handed.delete(fieldOf(message, 'ack'));
  });
  // There is no `disconnect` then: it waits for such a connection too. What the worker said before its end is read first.
  worker.once('exit', () => {
    setImmediate(() => {
      for (const handle of handed.values()) handle.close();
      handed.clear();
    });
  });
}

function fieldOf(message: unknown, name: string): unknown {
  return typeof message === 'object' && message !== null ? Reflect.get(message, name) : undefined;
}

function isHandle(handle: unknown): handle is Handle {
  return typeof fieldOf(handle, 'close') === 'function';
}
