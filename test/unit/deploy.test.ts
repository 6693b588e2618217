import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { z } from 'zod';
import { loadConfig, SETTINGS, unknownVariables } from '../../src/config.js';

const Compose = z.object({
  secrets: z.record(z.string(), z.object({ file: z.string() })),
  services: z.record(
    z.string(),
    z.object({
      environment: z.record(z.string(), z.string()),
      secrets: z.array(z.string()),
      env_file: z.never().optional(),
    }),
  ),
});

function read(path: string): string {
  return readFileSync(fileURLToPath(new URL(`../../${path}`, import.meta.url)), 'utf8');
}

const text = read('deploy/compose.yaml');
const { secrets, services } = Compose.parse(parse(text, { merge: true }));

test("compose keeps the encryption key and the database's password in files of their own, outside the repository", () => {
  const files = Object.values(secrets).map(({ file }) => file);
  expect(Object.keys(secrets)).toEqual(['database-password', 'fernet-keys']);
  expect(new Set(files).size).toBe(2);
  expect(read('.gitignore').split('\n')).toContain('deploy/secrets/');
  for (const file of files) expect(file).toMatch(/^\.\/secrets\/[a-z-]+$/);
});

test('every service is given the files that it needs and no other', () => {
  const given = Object.fromEntries(
    Object.entries(services).map(([name, service]) => [name, service.secrets]),
  );
  expect(given).toEqual({
    postgres: ['database-password'],
    migrate: ['database-password'],
    keyward: ['database-password', 'fernet-keys'],
  });
  for (const { environment, secrets: own } of Object.values(services)) {
    const named = Object.entries(environment).filter(([variable]) => variable.endsWith('_FILE'));
    expect(named.map(([, file]) => file).sort()).toEqual(own.map((name) => `/run/secrets/${name}`).sort());
  }
});

test('no environment holds a password or a key, nor takes one from where compose is started', () => {
  for (const { environment } of Object.values(services)) {
    for (const [variable, value] of Object.entries(environment)) {
      expect(variable).not.toMatch(/(PASSWORD|PASS|KEYS?|TOKEN)$/);
      expect(value).not.toContain('${');
      if (variable.startsWith('DATABASE_') && variable.endsWith('_URL')) {
        expect(new URL(value).password).toBe('');
        // PostgreSQL's image has no certificate: that the link is plaintext is said, not left to a default.
        expect(new URL(value).searchParams.get('sslmode')).toBe('disable');
      }
    }
  }
});

test('the services of Keyward have settings that it takes', () => {
  const known: string[] = Object.values(SETTINGS).map(({ variable }) => variable);
  for (const name of ['migrate', 'keyward']) {
    const environment = services[name]?.environment ?? {};
    expect(() => loadConfig(environment)).not.toThrow();
    expect(unknownVariables(environment)).toEqual([]);
    for (const variable of Object.keys(environment)) expect(known).toContain(variable);
  }
});
