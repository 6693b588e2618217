import { execFile, spawnSync } from 'node:child_process';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { registerCanary } from '../../support/canaries.js';
import { World } from '../../support/world.js';

const run = promisify(execFile);
const SERVICE = 'keyward.token.v1.TokenService';
const hasGrpcurl = spawnSync('grpcurl', ['-version']).error === undefined;
if (!hasGrpcurl) console.warn('SKIPPED: the service is not called with grpcurl, which is not on the PATH');

const Issued = z.object({ token: z.object({ id: z.string() }), plaintext: z.string() });
const Verdict = z.object({
  valid: z.boolean().default(false),
  reason: z.string(),
  keyId: z.string().default(''),
});

let world: World;

beforeAll(async () => {
  world = await World.create();
});

afterAll(() => world.close());

describe.skipIf(!hasGrpcurl)('grpcurl, which knows the API by reflection alone', () => {
  async function grpcurl(method: string, request: object): Promise<unknown> {
    const { stdout } = await run('grpcurl', [
      '-plaintext',
      ...['-H', `authorization: Bearer ${world.adminToken}`],
      ...['-d', JSON.stringify(request)],
      world.server.address,
      `${SERVICE}/${method}`,
    ]);
    return JSON.parse(stdout);
  }

  async function reasonOf(token: string): Promise<string> {
    return Verdict.parse(await grpcurl('ValidateToken', { token })).reason.replace('VERDICT_REASON_', '');
  }

  test('a token is made, validated, switched off and on, rotated with grace, and revoked', async () => {
    const made = Issued.parse(await grpcurl('CreateToken', { name: 'by-grpcurl', prefix: 'kw_' }));
    const first = registerCanary(made.plaintext);
    const selector = { id: made.token.id };
    expect(await reasonOf(first)).toBe('OK');
    await grpcurl('DeactivateToken', { selector });
    expect(await reasonOf(first)).toBe('INACTIVE');
    await grpcurl('ActivateToken', { selector });
    expect(await reasonOf(first)).toBe('OK');

    const rotated = Issued.parse(await grpcurl('RotateToken', { selector, gracePeriod: '60s' }));
    const second = registerCanary(rotated.plaintext);
    expect(await Promise.all([first, second].map(reasonOf))).toEqual(['OK', 'OK']);
    world.clock.advance(61_000);
    expect(await Promise.all([first, second].map(reasonOf))).toEqual(['EXPIRED', 'OK']);

    await grpcurl('RevokeToken', { selector });
    expect(await Promise.all([first, second].map(reasonOf))).toEqual(['UNKNOWN', 'UNKNOWN']);
  });

  test('every broken rule is shown, with its field, in decoded details', async () => {
    const call = grpcurl('CreateToken', { name: ' ', version: 'one', ttl: '-1s' });
    const { stderr } = z.object({ stderr: z.string() }).parse(await call.catch((error: unknown) => error));
    expect(stderr).toContain('Code: InvalidArgument');
    expect(stderr).toContain('"@type": "type.googleapis.com/google.rpc.BadRequest"');
    expect(stderr).toContain('"reason": "INVALID_FIELDS"');
    for (const field of ['name', 'version', 'ttl']) expect(stderr).toContain(`"field": "${field}"`);
  });
});

test('buf curl, a strict client, validates a token', async () => {
  const { plaintext, keyId } = await world.issue('admin');
  const { stdout } = await run('node_modules/.bin/buf', [
    ...['curl', '--protocol', 'grpc', '--http2-prior-knowledge'],
    ...['--header', `authorization: Bearer ${world.adminToken}`],
    ...['--data', JSON.stringify({ token: plaintext })],
    `http://${world.server.address}/${SERVICE}/ValidateToken`,
  ]);
  expect(Verdict.parse(JSON.parse(stdout))).toEqual({ valid: true, reason: 'VERDICT_REASON_OK', keyId });
});
