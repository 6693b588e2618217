import type { Server } from '@grpc/grpc-js';
import { expect, test } from 'vitest';
import {
  AuditServiceService,
  ListAuditEventsRequest,
} from '../../../src/gen/keyward/audit/v1/audit_service.js';
import type { ChainDependencies } from '../../../src/rpc/chain.js';
import type { Method } from '../../../src/rpc/handlers.js';
import { addService } from '../../../src/rpc/service.js';

/** served is the method as the library gets it. */
function served(): Method<unknown, unknown> {
  let definition: Record<string, Method<unknown, unknown>> = {};
  const server = { addService: (added: typeof definition) => (definition = added) } as unknown as Server;
  const handle = () => Promise.reject(new Error('nobody calls it'));
  const handlers = { listAuditEvents: { permission: 'keyward.audit.read', handle } } as const;
  addService(server, AuditServiceService, handlers, {} as ChainDependencies);
  const { listAuditEvents } = definition;
  if (listAuditEvents === undefined) throw new Error('the method was not added');
  return listAuditEvents;
}

test('the bytes of a request are overwritten once they are read, whether they are a message or none', () => {
  const filter = 'action = "SECRET_ACCESSED"';
  const good = Buffer.from(
    ListAuditEventsRequest.encode({ ...ListAuditEventsRequest.create(), filter }).finish(),
  );
  const bad = Buffer.concat([good, Buffer.from([0x0a])]);
  expect(served().requestDeserialize(good)).toMatchObject({ filter });
  served().requestDeserialize(bad);
  for (const bytes of [good, bad]) expect(bytes.equals(Buffer.alloc(bytes.length))).toBe(true);
});
