import type { ServerWritableStream } from '@grpc/grpc-js';

/** What is needed of the library's stream. */
export type Outlet<Message> = Pick<
  ServerWritableStream<unknown, Message>,
  'cancelled' | 'write' | 'once' | 'removeListener'
>;

/**
 * sendAll writes messages as fast as the client takes them: one is asked for only when there is room for it.
 * When the client has gone it ends the iteration, and does not wait for a message that is still in the making.
 */
export async function sendAll<Message>(
  messages: AsyncIterable<Message>,
  outlet: Outlet<Message>,
): Promise<'sent' | 'cancelled'> {
  if (outlet.cancelled) return 'cancelled';
  const iterator = messages[Symbol.asyncIterator]();
  let onCancelled = (): void => undefined;
  const cancelled = new Promise<'cancelled'>((resolve) => {
    onCancelled = () => resolve('cancelled');
    outlet.once('cancelled', onCancelled);
  });
  const outcome = await Promise.race([pump(iterator, outlet), cancelled]);
  outlet.removeListener('cancelled', onCancelled);
  // How the work ends that nobody waits for is nobody's concern any more.
  if (outcome === 'cancelled') iterator.return?.().catch(() => undefined);
  return outcome;
}

async function pump<Message>(
  iterator: AsyncIterator<Message>,
  outlet: Outlet<Message>,
): Promise<'sent' | 'cancelled'> {
  for (;;) {
    const next = await iterator.next();
    if (next.done === true) return 'sent';
    if (outlet.cancelled) return 'cancelled';
    if (!outlet.write(next.value)) await drain(outlet);
  }
}

function drain(outlet: Outlet<never>): Promise<void> {
  return new Promise((resolve) => {
    outlet.once('drain', resolve);
  });
}
