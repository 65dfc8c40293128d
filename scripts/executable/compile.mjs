// Runs inside the executable's Node, under --predictable: dir/*.js -> dir/*.cache, V8's code caches.
//
//   node --predictable compile.mjs <dir>
//
// Every function is compiled, not only those that some run happens to call, so that the bytes depend on
// nothing but the source: neither on who builds nor on the machine. It costs a restore 3 ms more than a
// cache made after a restore would (Node 24.21.0: 71.2 and 68.6 ms; without a cache, 85 ms).
// Neither --predictable, which fixes V8's hash seeds, nor the lazy flag, which is put back, changes the hash
// of V8's flags at the end: the executable takes the caches, and Node's own stay valid there.
import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setFlagsFromString } from "node:v8";
import { Script } from "node:vm";

const [dir = ""] = process.argv.slice(2);
const names = readdirSync(dir).filter((name) => name.endsWith(".js"));

setFlagsFromString("--no-lazy");
const scripts = names.map((name) => {
  const source = readFileSync(join(dir, name), "latin1");
  return /** @type {const} */ ([name, new Script(source, { filename: `blackstart/${name}` })]);
});
setFlagsFromString("--lazy");

for (const [name, script] of scripts) {
  writeFileSync(join(dir, name.replace(/js$/, "cache")), script.createCachedData());
}
