import assert from "node:assert/strict";
import { suite } from "uvu";
import { describe, Following, makeWorld, secret, secrets, type World } from "./following.ts";
import { statusOf } from "./simulated-answers.ts";
import type { Fault } from "./simulated-apiserver.ts";
import { randomFrom } from "./virtual-clock.ts";

/**
 * An hour of random changes under random faults, many times: whatever the order, nothing is missed, nothing is told
 * twice, and nobody is asked in a loop. One run is FAULTS_SEED=…; FAULTS_RUNS sets how many.
 */
const test = suite("kube/faults");
const firstSeed = Number(process.env["FAULTS_SEED"] ?? 1);
const runs =
  process.env["FAULTS_SEED"] === undefined ? Number(process.env["FAULTS_RUNS"] ?? 40) : 1;

interface Run extends World {
  readonly pick: () => number;
  readonly following: Following;
  /** What each state of the collection was, from the first on. */
  readonly states: string[];
}

function chance(world: Run, of: number): boolean {
  return world.pick() < of;
}

/** One random change. */
function write(world: Run): void {
  const { server, pick, states } = world;
  const name = `s${Math.floor(pick() * 8)}`;
  if (chance(world, 0.25)) {
    server.store.delete("secrets", "ns", name);
  } else if (chance(world, 0.2)) {
    server.store.advance();
  } else {
    // Characters of two, three and four bytes: chunks break within them.
    server.store.put("secrets", { ...secret(name, String(pick())), type: "é€𝄞".repeat(5) });
  }
  const state = describe(server.store.list("secrets/ns")).join(" ");
  if (state !== states.at(-1)) {
    states.push(state);
  }
}

/** A random fault for one request. */
function requestFault(world: Run): Fault | undefined {
  const { pick } = world;
  const status = [401, 403, 410, 429, 500, 503][Math.floor(pick() * 6)] ?? 500;
  const kinds: readonly Fault[] = [
    { kind: "lost" },
    { kind: "answer", status, body: JSON.stringify(statusOf(status, "Expired")) },
    { kind: "answer", status: 200, body: "<html>", headers: { "content-type": "text/html" } },
    { kind: "answer", status: 200, body: "{}\n", ends: "cut" },
    { kind: "truncated", bytes: Math.floor(pick() * 400), ends: "whole" },
    { kind: "truncated", bytes: Math.floor(pick() * 400), ends: "cut" },
  ];
  return kinds[Math.floor(pick() * kinds.length)];
}

/** A random misfortune of the whole server, now. */
function misfortune(world: Run): void {
  const { server, pick, clock } = world;
  const streams = server.watches;
  const one = streams[Math.floor(pick() * streams.length)];
  const acts: readonly (() => void)[] = [
    () => server.breakConnections(),
    () => server.goAway(),
    () => server.store.compact(),
    () => one?.cut(),
    () => one?.end(),
    () => {
      one?.write('{"type":"MODIFIED","object":{"kind":"Sec');
      clock.at(clock.now() + 1_000, () => one?.cut());
    },
    () => one?.write("garbage\n"),
    () => one?.write(`{"type":"ERROR","object":${JSON.stringify(statusOf(410, "Expired"))}}\n`),
    () => one?.write(`{"type":"ERROR","object":${JSON.stringify(statusOf(500, "Oh"))}}\n`),
    () => {
      server.stop();
      clock.at(clock.now() + pick() * 120_000, () => server.start());
    },
    () => {
      server.pageTokensExpire = !server.pageTokensExpire;
    },
    () => {
      server.goneAs = server.goneAs === "event" ? "status" : "event";
    },
    () => clock.set(clock.now() + (pick() - 0.5) * 7_200_000),
  ];
  acts[Math.floor(pick() * acts.length)]?.();
}

/** True when what was told last is a state that the collection had, at or after the one told before. */
function position(world: Run, from: number): number {
  const { following, states } = world;
  return states.indexOf(following.known.join(" "), from);
}

for (let seed = firstSeed; seed < firstSeed + runs; seed += 1) {
  test(`seed ${seed}: no change is missed, none is told twice, and no loop runs hot`, async () => {
    const pick = randomFrom(seed);
    const world = makeWorld(seed, {}, { splitAt: pick });
    const { server, clock, connections } = world;
    for (let index = 0; index < 4; index += 1) {
      server.store.put("secrets", secret(`s${index}`));
    }
    const following = new Following(world, secrets);
    const run: Run = {
      ...world,
      pick,
      following,
      states: [describe(server.store.list("secrets/ns")).join(" ")],
    };
    let at = 0;
    let busiest = 0;
    for (let minute = 0; minute < 60; minute += 1) {
      // Some minutes are calm.
      const rate = [0, 0.1, 0.5, 1][minute % 4] ?? 0;
      server.fault = () => (chance(run, rate) ? requestFault(run) : undefined);
      const before = server.requests.length;
      for (let step = 0; step < 6; step += 1) {
        if (chance(run, 0.5)) {
          write(run);
        }
        if (chance(run, rate / 2)) {
          misfortune(run);
        }
        await clock.run(10_000 * (0.5 + pick()));
        if (following.observed.objects !== undefined) {
          const next = position(run, at);
          assert.ok(next >= at, `told what never was, or was before: ${following.known.join(" ")}`);
          at = next;
        }
        if (following.observed.live) {
          assert.equal(following.known.join(" "), run.states.at(-1), "live, and behind");
        }
      }
      busiest = Math.max(busiest, server.requests.length - before);
    }
    assert.ok(busiest <= 60, `${busiest} requests in a minute`);
    server.fault = () => undefined;
    server.isUp = true;
    // One of them may be about to break off in the middle of its next event.
    for (const stream of server.watches) {
      stream.cut();
    }
    await clock.run(5 * 60_000);
    assert.equal(following.observed.live, true, String(following.observed.failure));
    assert.deepEqual(following.known, describe(server.store.list("secrets/ns")));
    write(run);
    await clock.run(10);
    assert.deepEqual(following.known, describe(server.store.list("secrets/ns")));
    assert.equal(
      new Set(following.seen.filter((one) => one.includes("@"))).size,
      following.seen.filter((one) => one.includes("@")).length,
      "told twice",
    );
    assert.equal(server.watches.length, 1);
    assert.ok(connections.size <= 1, `${connections.size} connections`);
    following.stop();
    await following.done;
    connections.close();
    await clock.run(120_000);
    assert.equal(server.connections.size, 0);
  });
}

test.run();
