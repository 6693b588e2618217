#!/usr/bin/env node
/*
 * The beginning of the program, which imports nothing before it knows that this Node can read it: an older one would end
 * with an error about whatever it does not know first. So there is no static import here, and no `await` outside.
 */
const LEAST = { major: 20, minor: 19 };

const { node } = process.versions;
const [major, minor] = node.split('.').map(Number) as [number, number];
if (major < LEAST.major || (major === LEAST.major && minor < LEAST.minor)) {
  console.error(`keyward: Node.js ${LEAST.major}.${LEAST.minor} or newer is needed, and this is ${node}`);
  process.exitCode = 1;
} else {
  void import('./run.js').then(async ({ run }) => {
    process.exitCode = await run(process.argv.slice(2));
  });
}

export {};
