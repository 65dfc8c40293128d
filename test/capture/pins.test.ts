import assert from "node:assert/strict";
import { suite } from "uvu";
import { unwantedPins, wantedPins } from "../../src/capture/pins.ts";
import type { Checkpoint, CheckpointImage } from "../../src/model/checkpoint.ts";

const pins = suite("capture/pins");

const checkpoint: Checkpoint = {
  apiVersion: "blackstart.dev/v1",
  kind: "Checkpoint",
  metadata: { node: "node1", capturedAt: "2026-11-22T08:25:00Z", source: "apiserver" },
  pods: [],
  unprojectable: [],
  tokens: [],
  items: [],
};

function withImages(...images: readonly Partial<CheckpointImage>[]): Checkpoint {
  const common = { namespace: "prod", pod: "web", place: "containers/main", name: "app:1" };
  return { ...checkpoint, images: images.map((one) => ({ ...common, ...one })) };
}

pins("what either generation needs is wanted once, by id and by its most exact name", () => {
  const digest = "quay.io/etcd@sha256:1";
  assert.deepEqual(
    wantedPins([
      withImages({ id: "sha256:b" }, { name: "quay.io/etcd:3", digest, id: "sha256:a" }),
      withImages({ id: "sha256:b" }, { name: "gone:1" }),
    ]),
    { ids: ["sha256:a", "sha256:b"], names: ["app:1", "gone:1", digest] },
  );
});

pins("a generation that knows no images wants none", () => {
  assert.deepEqual(wantedPins([checkpoint]), { ids: [], names: [] });
});

pins("what we have pinned and nobody needs any more is unwanted", () => {
  const wanted = wantedPins([withImages({ id: "sha256:b" })]);
  assert.deepEqual(unwantedPins(wanted, ["sha256:a", "sha256:b", "app:1"]), ["sha256:a", "app:1"]);
});

pins.run();
