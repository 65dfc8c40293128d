// uplink-child.ts PORT SOCKET: carries PORT of every address of its network to a Unix socket.
import { connect, createServer } from "node:net";

const [port = "", socket = ""] = process.argv.slice(2);
const server = createServer((client) => {
  const upstream = connect(socket);
  client.pipe(upstream).pipe(client);
  client.on("error", () => upstream.destroy());
  upstream.on("error", () => client.resetAndDestroy());
});
server.listen(Number(port), "0.0.0.0");
