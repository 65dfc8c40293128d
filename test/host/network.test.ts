import assert from "node:assert/strict";
import { suite } from "uvu";
import { observeNetwork, parseRoutes } from "../../src/host/network.ts";

const test = suite("host/network");

const head = "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n";
const lan = "eth0\t0002A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n";
const standard = "eth0\t00000000\t0102A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n";
const odd = "eth0\t0010000A\t00000000\t0001\t0\t0\t0\t00F0FFFF\t0\t0\t0\n";
const rejected = "*\t0000000A\t00000000\t0201\t0\t0\t0\t000000FF\t0\t0\t0\n";
const linkLocal = "eth0\t0000FEA9\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n";
const zero = "0".repeat(32);
const line6 = (address: string, prefix: string, flags: string, device: string) =>
  `${address} ${prefix} ${zero} 00 ${zero} 00000400 00000001 00000000 ${flags} ${device}\n`;
const lan6 = line6(`fd00${zero.slice(4)}`, "40", "00000001", "eth0");
const standard6 = line6(zero, "00", "00000003", "eth0");
const noRoute6 = line6(zero, "00", "00200200", "lo");
const link6 = line6(`fe80${zero.slice(4)}`, "40", "00000001", "eth0");
const multicast6 = line6(`ff00${zero.slice(4)}`, "08", "00000001", "eth0");
const loopback6 = line6(`${zero.slice(1)}1`, "80", "80200001", "lo");

const cases: readonly { name: string; v4: string; v6: string; reached: readonly string[] }[] = [
  { name: "no tables", v4: "", v6: "", reached: [] },
  { name: "a table of its head alone", v4: head, v6: "", reached: [] },
  { name: "a LAN", v4: head + lan, v6: "", reached: ["192.168.2.9", "a.name"] },
  {
    name: "a default route",
    v4: head + standard,
    v6: "",
    reached: ["192.168.2.9", "10.1.2.3", "a.name"],
  },
  { name: "an odd mask", v4: head + odd, v6: "", reached: ["a.name"] },
  { name: "a rejecting route", v4: head + rejected, v6: "", reached: [] },
  { name: "a link-local route", v4: head + linkLocal, v6: "", reached: [] },
  { name: "an IPv6 LAN", v4: head, v6: lan6, reached: ["fd00::9", "a.name"] },
  {
    name: "an IPv6 default route",
    v4: head,
    v6: standard6,
    reached: ["fd00::9", "2001:db8::1", "a.name"],
  },
  {
    name: "what every machine has",
    v4: head,
    v6: noRoute6 + link6 + multicast6 + loopback6,
    reached: [],
  },
  { name: "nonsense", v4: "x\ny z\n\t\t\t", v6: "x\ny\n", reached: [] },
];
const hosts = ["192.168.2.9", "10.1.2.3", "fd00::9", "2001:db8::1", "a.name"];
for (const { name, v4, v6, reached } of cases) {
  test(`${name} reaches ${reached.length} of ${hosts.length}`, () => {
    const routes = parseRoutes(v4, v6);
    assert.deepEqual(
      hosts.filter((host) => routes.reaches(host)),
      reached,
    );
  });
}

test("an odd mask is its length", () => {
  const routes = parseRoutes(head + odd, "");
  assert.ok(routes.reaches("10.0.31.255"));
  assert.ok(!routes.reaches("10.0.32.0"));
  assert.ok(!routes.reaches("10.0.15.255"));
});

test("this machine's network is read", () => {
  const { addresses, hasRouteTo } = observeNetwork();
  for (const address of addresses) {
    assert.ok(!/^(127\.|::1$|fe80|169\.254\.)/.test(address), address);
  }
  assert.equal(typeof hasRouteTo("192.0.2.1"), "boolean");
});

test.run();
