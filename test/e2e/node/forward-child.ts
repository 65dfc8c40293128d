// forward-child.ts DIR PORT…: inside a machine's network; carries DIR/PORT.sock to 127.0.0.1:PORT.
import { connect, createServer } from "node:net";
import { join } from "node:path";

const [dir = "", ...ports] = process.argv.slice(2);
for (const port of ports) {
  const server = createServer((client) => {
    const upstream = connect({ host: "127.0.0.1", port: Number(port) });
    client.pipe(upstream).pipe(client);
    // What breaks on one side is told to the other by a reset: an end would look like an answer's.
    client.on("error", () => upstream.resetAndDestroy());
    upstream.on("error", () => client.destroy());
  });
  server.listen(join(dir, `${port}.sock`));
}
