import { Follower } from "../../src/capture/follower.ts";
import { isPod } from "../../src/capture/select.ts";
import { Connections } from "../../src/kube/connections.ts";
import type { KubernetesObject } from "../../src/model/kubernetes.ts";
import { SimulatedApiserver } from "../kube/simulated-apiserver.ts";
import { VirtualClock } from "../kube/virtual-clock.ts";

/** A cluster whose nodes all follow their pods with our own code. */
export interface HerdOptions {
  readonly nodes: number;
  /** Secrets that each node's one pod needs; the node follows three collections more. */
  readonly secrets: number;
  readonly crowded: boolean;
  /** false: no spread, and every node draws the same numbers. */
  readonly jitter: boolean;
  /** Instead of the one that we chose. */
  readonly spreadMs?: number;
}

/** What an apiserver saw of a herd, from one moment on. */
export interface Load {
  readonly requests: number;
  readonly dials: number;
  readonly peak1s: number;
  readonly peak10s: number;
  /** Until the last node was live. */
  readonly mean: number;
  /** Whole seconds until half of the nodes that had lost something, and all of them, were live. */
  readonly halfLiveS: number;
  readonly allLiveS: number;
}

interface Node {
  readonly follower: Follower;
  liveAt: number | undefined;
}

/** Thousands of real clients and one simulated apiserver, in virtual time. */
export class Herd {
  readonly clock = new VirtualClock(7, { grainMs: 5 });
  readonly server = new SimulatedApiserver({
    clock: this.clock,
    latencyMs: 20,
    streamLimit: 1_000,
    bookmarkMs: Number.POSITIVE_INFINITY,
  });
  readonly #options: HerdOptions;
  readonly #nodes: Node[] = [];
  readonly #stop = new AbortController();
  readonly #perSecond: number[] = [];
  #since = 0;
  #dialsBefore = 0;

  constructor(options: HerdOptions) {
    this.#options = options;
    const { store } = this.server;
    for (const object of objectsOf(options.secrets)) {
      store.put(object.kind === "Service" ? "services" : "secrets", object);
    }
    store.put("endpoints", namedObject("Endpoints", "default", "kubernetes"));
    for (let index = 0; index < options.nodes; index += 1) {
      store.put("pods", podOf(`n${index}`, options.secrets));
      store.put("nodes", namedObject("Node", undefined, `n${index}`));
    }
    this.server.onRequest = () => {
      const second = Math.floor((this.clock.now() - this.#since) / 1_000);
      this.#perSecond[second] = (this.#perSecond[second] ?? 0) + 1;
    };
  }

  /** Starts the clients of all nodes at this moment. */
  start(): void {
    const { nodes, crowded, jitter, spreadMs } = this.#options;
    const { clock, server } = this;
    const spread = spreadMs === undefined ? {} : { spreadMs };
    const now = () => clock.now();
    const nodeClock = jitter ? clock : { now, sleep: clock.sleep.bind(clock), random: () => 0.5 };
    for (let index = 0; index < nodes; index += 1) {
      const connections = new Connections({
        dial: server.dial,
        clock: nodeClock,
        attempts: Number.POSITIVE_INFINITY,
        crowded,
        ...(jitter ? spread : { spreadMs: 0 }),
      });
      const follower: Follower = new Follower({
        api: connections,
        clock: nodeClock,
        signal: this.#stop.signal,
        node: `n${index}`,
        select: (pods) => pods.filter(isPod),
        onChange: () => {
          const node = this.#nodes[index];
          if (node?.liveAt !== undefined && node.follower.view().pending.length > 0) {
            node.liveAt = undefined;
          }
        },
        onWatches: (count) => connections.expect(count),
      });
      this.#nodes.push({ follower, liveAt: undefined });
    }
  }

  /** What is counted from now on. */
  count(): void {
    this.#since = this.clock.now();
    this.#perSecond.length = 0;
    this.#dialsBefore = this.server.dials;
  }

  /** Runs until every node is live, and a minute more. */
  async settle(): Promise<Load> {
    for (let second = 0, last = 3_600; second < last; second += 1) {
      await this.clock.run(1_000);
      if (this.#look() && last === 3_600) {
        last = second + 60;
      }
    }
    const lives = this.#nodes
      .map(({ liveAt = Number.NaN }) => (liveAt - this.#since) / 1_000)
      .filter((live) => !(live <= 0)) // who never lost anything
      .sort((a, b) => a - b);
    const perSecond = Array.from(this.#perSecond, (count) => count ?? 0);
    const requests = perSecond.reduce((sum, count) => sum + count, 0);
    const allLiveS = lives.at(-1) ?? Number.NaN;
    const tens = perSecond.map((_, at) => sumOf(perSecond.slice(at, at + 10)) / 10);
    return {
      requests,
      dials: this.server.dials - this.#dialsBefore,
      peak1s: Math.max(...perSecond),
      peak10s: Math.max(...tens),
      mean: requests / Math.max(1, allLiveS),
      halfLiveS: lives[lives.length >> 1] ?? Number.NaN,
      allLiveS,
    };
  }

  /** One of so many apiservers dies, and the others take its clients at once. */
  loseOneOf(servers: number): void {
    for (const [index, connection] of [...this.server.connections].entries()) {
      if (index % servers === 0) {
        connection.break();
      }
    }
  }

  stop(): void {
    this.#stop.abort(new Error("the test is over"));
  }

  /** Notes which nodes are live; true when all are. */
  #look(): boolean {
    let allLive = true;
    for (const node of this.#nodes) {
      if (node.liveAt === undefined && node.follower.view().pending.length === 0) {
        node.liveAt = this.clock.now();
      }
      allLive &&= node.liveAt !== undefined;
    }
    return allLive;
  }
}

function sumOf(numbers: readonly number[]): number {
  return numbers.reduce((sum, one) => sum + one, 0);
}

function objectsOf(secrets: number): readonly KubernetesObject[] {
  return [
    ...Array.from({ length: secrets }, (_, index) => namedObject("Secret", "ns", `s${index}`)),
    namedObject("Service", "default", "kubernetes"),
    namedObject("Service", "ns", "web"),
  ];
}

function namedObject(kind: string, namespace: string | undefined, name: string): KubernetesObject {
  const metadata = namespace === undefined ? { name } : { name, namespace };
  return { kind, apiVersion: "v1", metadata, ...(kind === "Service" ? { spec: {} } : {}) };
}

function podOf(node: string, secrets: number): KubernetesObject {
  const names = Array.from({ length: secrets }, (_, index) => `s${index}`);
  return {
    kind: "Pod",
    apiVersion: "v1",
    metadata: { name: node, namespace: "ns" },
    spec: {
      nodeName: node,
      volumes: names.map((name) => ({ name, secret: { secretName: name } })),
      containers: [
        { name: "main", volumeMounts: names.map((name) => ({ name, mountPath: `/${name}` })) },
      ],
    },
  };
}
