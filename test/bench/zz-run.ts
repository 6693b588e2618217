import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { LoadGenerator } from './load.js';
import { exchangeOf } from './tokens.js';
import { cpuTimes } from './processes.js';
import { setTimeout as sleep } from 'node:timers/promises';
// args: kind(a|b|c|d) seconds [dist] [node flags]
const [kind = 'b', seconds = '5', tokens = '10000', dist = '/work/main/dist', ...flags] = process.argv.slice(2);
const url = readFileSync('/tmp/benchdb.url', 'utf8').trim();
let port = 40000 + Math.floor(Math.random() * 9000);
const child = spawn('taskset', ['-c', '0', process.execPath, ...flags, ...(kind === 'a' ? ['/work/main/test/bench/baseline-server.mjs', Buffer.from(exchangeOf(0).response).toString('base64')] : [`${dist}/cli/main.js`, 'serve'])], {
  env: { ...process.env, DATABASE_URL: url, KEYWARD_LISTEN: `127.0.0.1:${port}`, KEYWARD_LOG_LEVEL: 'warn', KEYWARD_CACHE_TTL_SECONDS: '86400', ...(kind === 'c' && { KEYWARD_CACHE_MAX_ENTRIES: '1000' }) }, stdio: kind === 'a' ? ['inherit','inherit','inherit','ipc'] : 'inherit', cwd: '/tmp' });
if (kind === 'a') port = await new Promise(r => child.once('message', (m: {port:number}) => r(m.port)));
else await sleep(1500);
const opts = { path: `/keyward.token.v1.TokenService/${kind === 'd' ? 'BatchValidateTokens' : 'ValidateToken'}`, connections: kind==='d'?4:8, inFlight: kind==='d'?4:12, tokens: Number(tokens), batch: kind === 'd' ? 100 : 1, constantAnswer: kind === 'a' };
let load = await LoadGenerator.open(port, opts);
//: `/keyward.token.v1.TokenService/${kind === 'd' ? 'BatchValidateTokens' : 'ValidateToken'}`, connections: kind==='d'?4:8, inFlight: kind==='d'?4:12, tokens: Number(tokens), batch: kind === 'd' ? 100 : 1 });
await load.run({ calls: Number(tokens) }); await load.run({ seconds: 2 });
const out = [];
for (let i = 0; i < 5; i++) { if (process.env.RECONNECT) { load.close(); load = await LoadGenerator.open(port, opts); } const b = cpuTimes(child); const r = await load.run({ seconds: Number(seconds) }); const a = cpuTimes(child);
out.push(`${(r.calls / r.seconds).toFixed(0)}/s ${(((a.busy - b.busy) * 1e6) / r.calls).toFixed(1)}us busy${((a.busy - b.busy) / r.seconds*100).toFixed(0)}% w${((a.waited - b.waited) / r.seconds*100).toFixed(0)}% wrong${r.wrong}`);}
console.log(kind, tokens, out.join(' | '));
child.kill('SIGKILL'); load.close();
