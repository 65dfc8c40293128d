import assert from "node:assert/strict";
import { createServer } from "node:net";
import { suite } from "uvu";
import { observeListeners, parseListeners } from "../../src/host/listeners.ts";

const listeners = suite("host/listeners");

const table = `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 00000000:192B 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0
   1: 0100007F:0016 0100007F:D431 01 00000000:00000000 00:00000000 00000000     0        0 2 1 0 20 4 30 10 -1
   0: 00000000000000000000000001000000:1F90 00000000000000000000000000000000:0000 0A 00000000:00000000 00:00000000
garbage
`;

listeners("listening sockets of both families, and no others", () => {
  assert.deepEqual([...parseListeners(table)], [6443, 8080]);
});

listeners("a server of this machine is seen while it listens", async () => {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" ? (address?.port ?? 0) : 0;
  assert.equal(observeListeners()?.has(port), true);
  await new Promise((resolve) => server.close(resolve));
  assert.equal(observeListeners()?.has(port), false);
});

listeners.run();
