import { spawnSync } from 'node:child_process';
import { PYTHON, pythonHas } from './python.js';

const PROGRAM = `
import base64, json, sys
from cryptography.fernet import Fernet
answers = []
for key, seal, text in json.load(sys.stdin):
    fernet = Fernet(key)
    if seal is None:
        answers.append(base64.b64encode(fernet.decrypt(text.encode())).decode())
    else:
        answers.append(fernet.encrypt_at_time(base64.b64decode(text), seal).decode())
json.dump(answers, sys.stdout)
`;

/** hasPythonCryptography tells whether there is a Python with `cryptography` here. */
export function hasPythonCryptography(): boolean {
  return pythonHas('cryptography.fernet');
}

/** pythonDecrypts gives the plaintexts that Python reads from tokens. */
export function pythonDecrypts(tokens: readonly { key: string; token: Buffer }[]): Buffer[] {
  const answers = run(tokens.map(({ key, token }) => [key, null, token.toString()]));
  return answers.map((answer) => Buffer.from(answer, 'base64'));
}

/** pythonEncrypts gives the tokens that Python makes of plaintexts, each at a time in seconds since 1970. */
export function pythonEncrypts(
  values: readonly { key: string; plaintext: Buffer; timestamp: number }[],
): Buffer[] {
  const requests = values.map(({ key, plaintext, timestamp }) => [
    key,
    timestamp,
    plaintext.toString('base64'),
  ]);
  return run(requests).map((answer) => Buffer.from(answer));
}

function run(requests: readonly unknown[]): string[] {
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', PROGRAM], {
    input: JSON.stringify(requests),
    maxBuffer: 2 ** 28,
    encoding: 'utf8',
  });
  if (status !== 0) throw new Error(`Python failed: ${stderr}`);
  return JSON.parse(stdout) as string[];
}
