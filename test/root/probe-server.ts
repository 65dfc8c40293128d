// Run by probe-namespace.ts: an apiserver's stand-in, until its standard input ends.
import { writeSync } from "node:fs";
import { createServer } from "node:tls";

const { certPem, keyPem } = JSON.parse(process.env["IDENTITY"] ?? "{}");
const server = createServer({ cert: certPem, key: keyPem }, (socket) => {
  socket.on("error", () => undefined);
  socket.once("data", () => socket.end("HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n"));
});
server.on("tlsClientError", () => undefined);
server.listen(0, "192.0.2.1", () => {
  const address = server.address();
  writeSync(1, String(typeof address === "object" ? address?.port : 0));
});
process.stdin.on("end", () => process.exit(0)).resume();
