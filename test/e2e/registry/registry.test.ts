import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { suite } from "uvu";
import { startDaemon } from "../daemon.ts";
import { makeImages } from "../images/images.ts";
import { findLoopbackPort } from "../loopback-port.ts";
import { eventually } from "../node/wait.ts";
import { authorization, pushImage } from "./push.ts";
import { prepareRegistry } from "./registry.ts";

const registry = suite("e2e/registry/registry");

registry("who shows no credentials is refused, who shows them gets what was pushed", async () => {
  const dir = mkdtempSync(join(tmpdir(), "blackstart-registry-"));
  process.once("exit", () => rmSync(dir, { recursive: true, force: true }));
  const port = await findLoopbackPort();
  const [file = "", ...words] = prepareRegistry(dir, port);
  const daemon = startDaemon(file, words, join(dir, "log"));
  const url = `http://127.0.0.1:${port}`;
  const status = async (path: string, headers: Readonly<Record<string, string>> = {}) => {
    const accept = "application/vnd.oci.image.manifest.v1+json";
    const answer = await fetch(url + path, { headers: { accept, ...headers } });
    await answer.bytes();
    return answer.status;
  };
  await eventually(
    "the registry answers",
    30_000,
    async () => ((await status("/v2/")) === 401 ? true : undefined),
    () => (daemon.isRunning() ? undefined : daemon.lastWords()),
  );
  const archive = makeImages().find((image) => image.includes("pause-lab"));
  assert.ok(archive !== undefined);
  const digest = await pushImage(url, archive, "lab/app", "one");
  assert.match(digest, /^sha256:[0-9a-f]{64}$/);
  const wrong = { authorization: `Basic ${btoa("crane:wrong")}` };
  for (const reference of ["one", digest]) {
    const path = `/v2/lab/app/manifests/${reference}`;
    assert.equal(await status(path), 401);
    assert.equal(await status(path, wrong), 401);
    assert.equal(await status(path, authorization()), 200);
  }
  await daemon.stop("SIGTERM");
});

registry.run();
