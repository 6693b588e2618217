// starts keyward with --cpu-prof against a bench DB, runs load b, stops
import { startEmbeddedPostgres } from '/work/main/src/db/embedded-postgres.js';
import { migrate } from '/work/main/src/db/migrate.js';
import { fillTokens } from '/work/main/test/bench/tokens.js';
import { existsSync, mkdirSync } from 'node:fs';
const dir='/tmp/benchdb';
const fresh=!existsSync(dir); mkdirSync(dir,{recursive:true});
const db = await startEmbeddedPostgres({dataDir:dir});
if (fresh) { await migrate(db.url); await fillTokens(db.url, 100000); }
console.log(db.url);
process.on('SIGTERM', ()=>{ void db.stop().then(()=>process.exit()) });
setInterval(()=>{},1e6);
