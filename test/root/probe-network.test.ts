import assert from "node:assert/strict";
import { suite } from "uvu";
import { missingPrivilege, openWire } from "./probe-namespace.ts";

const test = suite("probe-network");
const why = missingPrivilege();

if (why !== undefined) {
  test("network", () => console.log(`SKIPPED the probe on a machine without a network: ${why}`));
} else {
  test("an address that appears after 2 s is waited for, then the answer is warm", async () => {
    await using wire = await openWire();
    const asked = wire.probe({ deadlineMs: 1_000, networkMs: 20_000 });
    await new Promise((resolve) => setTimeout(resolve, 2_000));
    wire.here("ip addr add 192.0.2.2/24 dev eth0");
    const { verdict, kinds, waitedMs, log } = await asked;
    assert.equal(verdict, "warm");
    assert.deepEqual(kinds, ["answered"]);
    assert.ok(waitedMs > 1_200 && waitedMs < 4_000, `waited ${waitedMs} ms`);
    assert.match(log.join("\n"), /no network address yet/);
  });

  test("no address until the limit is cold, and that is the reason", async () => {
    await using wire = await openWire();
    const { verdict, reason, waitedMs } = await wire.probe({ networkMs: 1_500 });
    assert.equal(verdict, "cold");
    assert.match(reason, /no network address/);
    assert.ok(waitedMs >= 1_500 && waitedMs < 2_000, `waited ${waitedMs} ms`);
  });

  test("not waiting for a network is cold at once", async () => {
    await using wire = await openWire();
    const { verdict, reason, waitedMs } = await wire.probe({ networkMs: 0 });
    assert.equal(verdict, "cold");
    assert.match(reason, /no network address/);
    assert.ok(waitedMs < 500, `waited ${waitedMs} ms`);
  });

  test("an address of a bridge alone is no route", async () => {
    await using wire = await openWire();
    wire.here(
      "ip link add docker0 type veth peer name pod1; ip link set docker0 up; ip link set pod1 up; ip addr add 172.17.0.1/16 dev docker0",
    );
    const { verdict, reason, waitedMs } = await wire.probe({ networkMs: 1_500 });
    assert.equal(verdict, "cold");
    assert.match(reason, /no route/);
    assert.ok(waitedMs >= 1_500, `waited ${waitedMs} ms`);
  });

  test("a machine that swallows every packet is a timeout, at the deadline", async () => {
    await using wire = await openWire();
    wire.here(
      "ip addr add 192.0.2.2/24 dev eth0; ip neigh add 192.0.2.50 lladdr 02:00:00:00:00:09 dev eth0",
    );
    const { verdict, kinds, waitedMs } = await wire.probe({ host: "192.0.2.50" });
    assert.equal(verdict, "cold");
    assert.deepEqual(kinds, ["timeout"]);
    assert.ok(waitedMs >= 2_000 && waitedMs < 2_500, `waited ${waitedMs} ms`);
  });

  test("a machine that is off is cold by the deadline", async () => {
    await using wire = await openWire();
    wire.here("ip addr add 192.0.2.2/24 dev eth0");
    const { verdict, kinds, waitedMs } = await wire.probe({
      host: "192.0.2.77",
      deadlineMs: 4_000,
    });
    assert.equal(verdict, "cold");
    assert.ok(["timeout", "unreachable"].includes(kinds[0] ?? ""), kinds[0]);
    assert.ok(waitedMs >= 4_000 && waitedMs < 4_600, `waited ${waitedMs} ms`);
  });

  test("name servers that are silent hold up neither the verdict nor the end of the process", async () => {
    await using wire = await openWire();
    wire.here(
      "ip addr add 192.0.2.2/24 dev eth0; ip neigh add 192.0.2.99 lladdr 02:00:00:00:00:09 dev eth0",
    );
    const { verdict, kinds, waitedMs, processMs } = await wire.probe({ host: "api.example" });
    assert.equal(verdict, "cold");
    assert.deepEqual(kinds, ["dns"]);
    assert.ok(waitedMs < 2_500, `waited ${waitedMs} ms`);
    assert.ok(processMs < 5_000, `the process lived ${processMs} ms`);
  });
}

test.run();
