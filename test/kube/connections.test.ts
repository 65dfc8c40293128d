import assert from "node:assert/strict";
import { suite } from "uvu";
import type { ApiAnswer } from "../../src/kube/api.ts";
import { ApiFailure } from "../../src/kube/api-failure.ts";
import type { ConnectionsOptions, Ticket } from "../../src/kube/connections.ts";
import { rejects } from "../rejects.ts";
import { makeWorld as makeSpread, type World } from "./following.ts";
import type { ServerOptions } from "./simulated-apiserver.ts";

const test = suite("kube/connections");
const watch: Ticket = { kind: "watch", urgent: false };
const request: Ticket = { kind: "request", urgent: false };

/** Without any spread, unless a test asks for it. */
function makeWorld(options: Partial<ConnectionsOptions> = {}, server: Partial<ServerOptions> = {}) {
  return makeSpread(1, { spreadMs: 0, ...options }, server);
}

/** A request whose answer never ends, until it is stopped. */
class Asked {
  answer: ApiAnswer | undefined;
  error: unknown;
  at: number | undefined;
  readonly stop = new AbortController();

  constructor({ connections, clock }: World, ticket: Ticket) {
    const path = "/api/v1/namespaces/ns/secrets?watch=1&resourceVersion=1&timeoutSeconds=999999";
    connections.send({ method: "GET", path }, ticket, this.stop.signal).then(
      (answer) => {
        this.answer = answer;
        this.at = clock.now();
      },
      (error: unknown) => {
        this.error = error;
        this.at = clock.now();
      },
    );
  }
}

function ask(world: World, count: number, ticket = watch): readonly Asked[] {
  return Array.from({ length: count }, () => new Asked(world, ticket));
}

async function read(answer: ApiAnswer | undefined): Promise<void> {
  for await (const _chunk of answer?.body ?? []);
}

function opens({ server }: World): readonly number[] {
  return [...server.connections].map(({ open }) => open);
}

test("one connection carries all, up to its limit less what requests keep", async () => {
  const world = makeWorld({}, { streamLimit: 100 });
  const asked = ask(world, 96);
  await world.clock.run(5_000);
  assert.deepEqual(opens(world), [96]);
  assert.equal(world.server.dials, 1);
  ask(world, 4, request);
  await world.clock.run(1_000);
  assert.deepEqual(opens(world), [100]);
  assert.ok(asked.every(({ answer }) => answer?.status === 200));
});

test("what does not fit goes over a further connection, and no limit is passed", async () => {
  const world = makeWorld({}, { streamLimit: 10 });
  ask(world, 20);
  await world.clock.run(5_000);
  assert.deepEqual(opens(world), [6, 6, 6, 2]);
  assert.equal(world.server.dials, 4);
  ask(world, 13, request);
  await world.clock.run(5_000);
  assert.deepEqual(opens(world), [10, 10, 10, 3]);
  assert.ok([...world.server.connections].every(({ excess }) => excess === 0));
});

test("a server that allows one stream gets a connection for each", async () => {
  const world = makeWorld({}, { streamLimit: 1 });
  ask(world, 3);
  await world.clock.run(1_000);
  assert.deepEqual(opens(world), [1, 1, 1]);
});

test("a further connection is closed once the others have room again; the last one stays", async () => {
  const world = makeWorld({}, { streamLimit: 10 });
  const asked = ask(world, 14);
  await world.clock.run(1_000);
  assert.deepEqual(opens(world), [6, 6, 2]);
  for (const { stop } of asked.slice(0, 4)) {
    stop.abort(new Error("enough"));
  }
  for (const { stop } of asked.slice(12)) {
    stop.abort(new Error("enough"));
  }
  await world.clock.run(1_000);
  assert.deepEqual(opens(world), [2, 6]);
  for (const { stop } of asked) {
    stop.abort(new Error("enough"));
  }
  await world.clock.run(1_000);
  assert.deepEqual(opens(world), [0]);
  assert.equal(world.connections.size, 1);
});

/** Each gives the stream back. */
const endings: readonly {
  readonly name: string;
  readonly end: (asked: Asked, world: World) => unknown;
}[] = [
  { name: "the server ends the body", end: (_asked, { server }) => server.watches[0]?.end() },
  { name: "the server cuts the body", end: (_asked, { server }) => server.watches[0]?.cut() },
  { name: "the signal is aborted", end: ({ stop }) => stop.abort(new Error("enough")) },
];

for (const { name, end } of endings) {
  test(`a stream is given back when ${name}`, async () => {
    const world = makeWorld({}, { streamLimit: 2 });
    const [first, second] = ask(world, 2, request);
    await world.clock.run(1_000);
    assert.deepEqual(opens(world), [2]);
    assert.ok(first && second);
    const reading = read(first.answer).catch(() => undefined);
    end(first, world);
    await reading;
    ask(world, 1, request);
    await world.clock.run(1_000);
    assert.deepEqual(opens(world), [2]);
  });
}

test("a stream is given back when the reader leaves early", async () => {
  const world = makeWorld({}, { streamLimit: 1 });
  const [asked] = ask(world, 1, request);
  await world.clock.run(1_000);
  world.server.watches[0]?.write("something\n");
  for await (const _chunk of asked?.answer?.body ?? []) {
    break;
  }
  ask(world, 1, request);
  await world.clock.run(1_000);
  assert.deepEqual(opens(world), [1]);
  assert.equal(world.server.dials, 1);
});

test("a stream is given back when nobody ever reads the body and the signal is aborted", async () => {
  const world = makeWorld({}, { streamLimit: 1 });
  const [asked] = ask(world, 1, request);
  await world.clock.run(1_000);
  asked?.stop.abort(new Error("a bug of the caller"));
  ask(world, 1, request);
  await world.clock.run(1_000);
  assert.deepEqual(opens(world), [1]);
  assert.equal(world.server.dials, 1);
});

test("a stream is given back when the request is lost", async () => {
  const world = makeWorld({}, { streamLimit: 1 });
  world.server.fault = () => ({ kind: "lost" });
  const [asked] = ask(world, 1, request);
  await world.clock.run(1_000);
  assert.ok(asked?.error instanceof ApiFailure);
  world.server.fault = () => undefined;
  const [again] = ask(world, 1, request);
  await world.clock.run(1_000);
  assert.equal(again?.answer?.status, 200);
  assert.equal(world.server.dials, 1);
});

test("a connection that has lasted is dialled anew at once, then with growing waits up to 15 s", async () => {
  const heard: unknown[] = [];
  const world = makeWorld({ onDial: (failure) => heard.push(failure?.code) });
  ask(world, 1);
  await world.clock.run(60_000);
  world.server.stop();
  const [asked] = ask(world, 1);
  await world.clock.run(10);
  assert.equal(world.server.dials, 2);
  await world.clock.run(1_000);
  assert.equal(world.server.dials, 3);
  await world.clock.run(600_000);
  assert.ok(world.server.dials >= 40 && world.server.dials <= 90, `${world.server.dials} dials`);
  world.server.start();
  await world.clock.run(15_000);
  assert.equal(asked?.answer?.status, 200);
  assert.equal(heard[0], undefined);
  assert.equal(heard[1], "E_API_UNREACHABLE");
  assert.equal(heard.at(-1), undefined);
});

test("all who wait share one dial", async () => {
  const world = makeWorld();
  ask(world, 50);
  await world.clock.run(5_000);
  assert.equal(world.server.dials, 1);
});

test("the impatient are told after so many dials, and may ask again", async () => {
  const world = makeWorld({ attempts: 3 });
  world.server.isUp = false;
  const [asked] = ask(world, 1);
  await world.clock.run(20_000);
  assert.ok(asked?.error instanceof ApiFailure);
  assert.equal(world.server.dials, 3);
  world.server.isUp = true;
  const [again] = ask(world, 1);
  await world.clock.run(20_000);
  assert.equal(again?.answer?.status, 200);
});

test("the impatient are told at once of what no second dial can change", async () => {
  const failure = new ApiFailure("E_API_TLS", { what: "not the right CA" });
  const world = makeWorld({ attempts: 3, dial: () => Promise.reject(failure) });
  const [asked] = ask(world, 1);
  await world.clock.run(1);
  assert.equal(asked?.error, failure);
});

test("the patient are never told, however often a dial fails", async () => {
  const world = makeWorld();
  world.server.isUp = false;
  const [asked] = ask(world, 1);
  await world.clock.run(24 * 3_600_000);
  assert.equal(asked?.at, undefined);
  world.server.isUp = true;
  await world.clock.run(15_000);
  assert.equal(asked?.answer?.status, 200);
});

test("a bug of the dial is not swallowed", async () => {
  const world = makeWorld({ dial: () => Promise.reject(new TypeError("a bug")) });
  const [asked] = ask(world, 1);
  await world.clock.run(1);
  assert.ok(asked?.error instanceof TypeError);
});

test("an aborted waiter is let go, whether it waits for a turn or for a connection", async () => {
  const world = makeWorld();
  world.server.isUp = false;
  const waiting = ask(world, 3);
  await world.clock.run(1_000);
  world.server.isUp = true;
  waiting[0]?.stop.abort(new Error("enough"));
  await world.clock.run(5_000);
  const turns = ask(world, 100);
  await world.clock.run(100);
  turns[99]?.stop.abort(new Error("enough"));
  await world.clock.run(5_000);
  assert.match(String(waiting[0]?.error), /enough/);
  assert.match(String(turns[99]?.error), /enough/);
  assert.deepEqual(opens(world), [101]);
});

test("close() rejects whatever waits, ends what is open, retired connections too", async () => {
  const world = makeWorld();
  const open = ask(world, 2);
  await world.clock.run(10_000);
  const bodies = open.map(({ answer }) => rejects(() => read(answer), "E_API_UNREACHABLE"));
  world.server.goAway();
  await world.clock.run(1);
  assert.equal(world.connections.size, 1);
  world.server.isUp = false;
  const waiting = ask(world, 2);
  await world.clock.run(1_000);
  world.connections.close();
  await Promise.all(bodies);
  const late = ask(world, 1);
  await world.clock.run(60_000);
  for (const { error } of [...waiting, ...late]) {
    assert.ok(error instanceof ApiFailure && error.code === "E_API_UNREACHABLE", String(error));
  }
  assert.equal(world.server.connections.size, 0);
  assert.equal(world.connections.size, 0);
});

test("a dial that succeeds after close() leaves no connection", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const base = makeWorld();
  const world = makeWorld({
    dial: async () => {
      await promise;
      return base.server.dial(new AbortController().signal);
    },
  });
  ask(world, 1);
  await world.clock.run(1_000);
  world.connections.close();
  resolve();
  await world.clock.run(1);
  await base.clock.run(1_000);
  await world.clock.run(1);
  assert.equal(base.server.dials, 1);
  assert.equal(base.server.connections.size, 0);
});

test("after GOAWAY what is open goes on, and what is new goes over a new connection", async () => {
  const world = makeWorld();
  const old = ask(world, 3);
  await world.clock.run(10_000);
  world.server.goAway();
  await world.clock.run(1);
  const fresh = ask(world, 2);
  await world.clock.run(1_000);
  assert.deepEqual(opens(world), [3, 2]);
  for (const { stop } of old) {
    stop.abort(new Error("enough"));
  }
  await world.clock.run(1);
  assert.deepEqual(opens(world), [2]);
  assert.ok(fresh.every(({ answer }) => answer?.status === 200));
});

test("reconnect() ends all connections, draining ones too, and the next request dials at once", async () => {
  const world = makeWorld();
  const asked = ask(world, 3);
  await world.clock.run(10_000);
  const bodies = asked.map(({ answer }) => rejects(() => read(answer), "E_API_UNREACHABLE"));
  world.server.goAway();
  await world.clock.run(1);
  world.connections.reconnect();
  await Promise.all(bodies);
  ask(world, 1);
  await world.clock.run(100);
  assert.deepEqual(opens(world), [1]);
});

test("a connection that retires at once is not dialled in a loop", async () => {
  const world = makeWorld();
  const { dial } = world.server;
  const flapping = makeWorld({
    dial: async (signal) => {
      const connection = await dial(signal);
      connection.close();
      return connection;
    },
    clock: world.clock,
  });
  ask(flapping, 20);
  await world.clock.run(60_000);
  assert.ok(world.server.dials >= 3 && world.server.dials <= 12, `${world.server.dials} dials`);
});

test("requests of one node keep a distance, urgent ones and those that go on do not", async () => {
  const world = makeWorld({}, { latencyMs: 0 });
  await world.clock.run(1);
  const first = ask(world, 1);
  await world.clock.run(100);
  const began = world.clock.now();
  const paced = ask(world, 50);
  const urgent = ask(world, 5, { kind: "watch", urgent: true });
  const further = ask(world, 5, { kind: "request", urgent: false, continues: true });
  await world.clock.run(5_000);
  assert.ok(first[0]?.answer);
  const waits = (asked: readonly Asked[]) => asked.map(({ at = Number.NaN }) => at - began);
  assert.deepEqual([...new Set(waits(urgent)), ...new Set(waits(further))], [0, 0]);
  assert.deepEqual(
    waits(paced).map((wait) => Math.round(wait)),
    paced.map((_, index) => index * 20),
  );
});

/** Fifty watches of a node and its pods, asked anew after something. */
async function comeBack(before: (world: World) => Promise<unknown>, crowded = false) {
  const world = makeSpread(3, { crowded }, { latencyMs: 0 });
  world.connections.expect(51);
  await before(world);
  const began = world.clock.now();
  const asked = ask(world, 50);
  const [pods] = ask(world, 1, { kind: "watch", urgent: true });
  await world.clock.run(300_000);
  const waits = asked.map(({ at = Number.NaN }) => at - began).sort((a, b) => a - b);
  return { first: waits[0] ?? 0, last: waits.at(-1) ?? 0, pods: (pods?.at ?? Number.NaN) - began };
}

async function live(world: World): Promise<readonly Asked[]> {
  const asked = ask(world, 50);
  await world.clock.run(300_000);
  for (const { answer } of asked) {
    void read(answer).catch(() => undefined);
  }
  return asked;
}

test("a first start is not spread, a crowded one is: pods within 20 s, the rest over 2.5 s for each", async () => {
  const alone = await comeBack(async () => undefined);
  assert.ok(alone.last <= 1_000, `${alone.last} ms`);
  const crowded = await comeBack(async () => undefined, true);
  assert.ok(crowded.pods <= 20_000, `${crowded.pods} ms`);
  assert.ok(crowded.last >= 100_000 && crowded.last <= 140_000, `${crowded.last} ms`);
});

test("after an outage the pods are asked first, within 10 s, and the rest is spread", async () => {
  const back = await comeBack(async (world) => {
    await live(world);
    world.server.stop();
    ask(world, 1);
    await world.clock.run(60_000);
    world.server.start();
    await world.clock.run(15_000);
  });
  assert.ok(back.pods <= 10_000, `${back.pods} ms`);
  assert.ok(back.last >= 80_000 && back.last <= 127_500, `${back.last} ms`);
});

const shared: readonly { readonly name: string; readonly happen: (world: World) => unknown }[] = [
  { name: "its connection is cut", happen: ({ server }) => server.breakConnections() },
  {
    name: "the server ends all watches",
    happen: ({ server }) => {
      for (const stream of server.watches) {
        stream.end();
      }
    },
  },
  {
    name: "the server goes away and ends the watches later",
    happen: async ({ server, clock }) => {
      server.goAway();
      await clock.run(60_000);
      for (const stream of server.watches) {
        stream.end();
      }
    },
  },
];

for (const { name, happen } of shared) {
  test(`when ${name}, others may have lost theirs too: all is resumed in a quarter of the time`, async () => {
    const back = await comeBack(async (world) => {
      await live(world);
      await happen(world);
      await world.clock.run(1);
    });
    assert.ok(back.pods <= 2_500, `${back.pods} ms`);
    assert.ok(back.last >= 20_000 && back.last <= 32_000, `${back.last} ms`);
  });
}

test("what ends of this node alone is not spread: credentials that rotate, one watch, what is stopped", async () => {
  const rotated = await comeBack(async (world) => {
    await live(world);
    world.connections.reconnect();
    await world.clock.run(1);
  });
  assert.ok(rotated.last <= 1_100, `${rotated.last} ms`);
  const one = await comeBack(async (world) => {
    await live(world);
    world.server.watches[0]?.end();
    await world.clock.run(1);
  });
  assert.ok(one.last <= 1_100, `${one.last} ms`);
  const stopped = await comeBack(async (world) => {
    for (const { stop } of await live(world)) {
      stop.abort(new Error("enough"));
    }
    await world.clock.run(1);
  });
  assert.ok(stopped.last <= 1_100, `${stopped.last} ms`);
});

test("a clock that is set back by hours puts nothing off", async () => {
  const back = await comeBack(async (world) => {
    await live(world);
    world.clock.set(world.clock.now() - 7_200_000);
  });
  assert.ok(back.last <= 2_500, `${back.last} ms`);
});

test.run();
