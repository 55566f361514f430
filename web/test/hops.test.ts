import assert from "node:assert/strict";
import { test } from "node:test";
import { asked, dialled, EACH } from "../src/model/asked";
import { summary } from "../src/model/answer";
import { at, host, observed, port, predicted } from "../src/model/hops";
import { answers, outcome, sent, way, world } from "./worlds";

test("the balancer's address under Cluster: each node rewrites both, and passes it to the endpoint's node", () => {
  const { ways } = answers.loadbalancer.report;
  const hops = predicted(ways[0]!, ways[0]!.outcomes[0]!);
  assert.deepEqual(hops.map((each) => each.place), ["client", "address", "node/node-1", "node/node-3", hops.at(-1)!.place]);
  const [client, address, first, second, pod] = hops;
  assert.equal(client!.owner, "client");
  assert.match(address!.said[0]!.who, /forwarder/);
  assert.deepEqual(first!.rewrites.map((each) => each.what), ["destination", "source"]);
  assert.deepEqual([first!.ownerBefore, first!.owner], ["client", "node"]);
  assert.equal(first!.rewrites[1]!.decidedBy!.field, "spec.externalTrafficPolicy");
  assert.deepEqual([second!.source, second!.destination], ["10.240.0.11", "10.244.3.2:8080"]);
  assert.match(pod!.place, /^pod\/default\/source-ip-app/);
  assert.equal(pod!.source, "10.240.0.11");
});

test("a ClusterIP from a pod: one rewrite, and the pod's own address arrives", () => {
  const [first] = answers.clusterip.report.ways;
  const hops = predicted(first!, first!.outcomes[0]!);
  assert.ok(hops.flatMap((each) => each.rewrites).every((each) => each.what === "destination"));
  assert.equal(hops.at(-1)!.source, first!.clientAddress);
});

test("a node port under Local without endpoint ends at the node", () => {
  const [first] = answers.nodeportLocal.report.ways;
  const hops = predicted(first!, first!.outcomes[0]!);
  assert.equal(hops.at(-1)!.place, "node/node-1");
  assert.equal(hops.at(-1)!.ended!.disposition, "dropped");
  assert.match(hops.at(-1)!.ended!.because, /no endpoint/i);
});

test("a Service on every node's port is drawn with all nodes, each by its address for those outside", () => {
  const { report } = answers.nodeportLocal;
  const looked = asked(report, "svc/nodeport", world())!;
  assert.equal(looked.address, EACH);
  assert.ok(Math.abs(looked.outcomes.reduce((sum, each) => sum + each.share, 0) - 1) < 1e-9);
  assert.match(dialled(looked, 0), /^192\.0\.2\.\d+:\d+$/);
  assert.equal(asked(report, "192.0.2.11:30454", world()), report.ways[0]);
});

test("what ends without a step of its own says why, where it was last", () => {
  const lost = way([outcome({ disposition: "unreachable", source: null, seenAs: "unknown", notes: [{ code: "NoRoute", sentence: "Nobody leads it there." }] })]);
  assert.equal(predicted(lost, lost.outcomes[0]!).at(-1)!.ended!.because, "Nobody leads it there.");
});

test("a connection that ends at the balancer goes on as another one", () => {
  const looked = way([outcome({
    source: "10.0.0.9", seenAs: "balancer", endpoint: "10.244.0.2:8080",
    steps: [
      { who: "outside", what: "send", from: "198.51.100.79", to: "203.0.113.7:80", code: "Sent", because: "" },
      { who: "HAProxy", what: "terminate", from: "198.51.100.79", to: "10.0.0.9", code: "BalancerTerminates", because: "it dials itself" },
      { who: "pod", what: "deliver", from: null, to: "10.244.0.2:8080", code: "Delivered", because: "" },
    ],
  })]);
  const [, address, end] = predicted(looked, looked.outcomes[0]!);
  assert.deepEqual([address!.place, address!.rewrites[0]!.what, address!.owner], ["address", "connection", "balancer"]);
  assert.deepEqual([end!.place, end!.source], ["endpoint/10.244.0.2:8080", "10.0.0.9"]);
});

test("an observed request has its hops there and back, with the rules that rewrote it", () => {
  const owner = (address: string) => (address.startsWith("198.") ? "client" : "node") as "client" | "node";
  const there = observed(sent.cluster.trace, "request", owner);
  const back = observed(sent.cluster.trace, "reply", owner);
  assert.equal(there[0]!.place, "client");
  assert.match(there.at(-1)!.place, /^pod\//);
  assert.equal(back.at(-1)!.place, "client");
  const rewriting = there.find((each) => each.rewrites.some((rewrite) => rewrite.what === "source"))!;
  assert.match(rewriting.rewrites.find((each) => each.what === "source")!.rule!, /MASQUERADE|masquerade|snat/i);
});

test("the answer says each source once, with the sum of its shares", () => {
  const looked = way([
    outcome({ share: 0.25, source: "10.0.0.1", seenAs: "node" }), outcome({ share: 0.25, disposition: "dropped", source: null }),
    outcome({ share: 0.5, source: "10.0.0.1", seenAs: "node" }),
  ]);
  assert.deepEqual(summary(looked).map((each) => [each.disposition, each.address, each.share]), [["delivered", "10.0.0.1", 0.75], ["dropped", null, 0.25]]);
});

test("what ends at several nodes is said of all of them", () => {
  const ends = (enters: string, share: number) => outcome({
    share, disposition: "dropped", source: null, seenAs: "unknown", enters,
    steps: [{ who: "proxy", what: "drop", from: null, to: null, code: "LocalPolicyDrops", because: `${enters} has no endpoint`, node: enters }],
  });
  const [two] = summary(way([ends("node-2", 0.5), ends("node-3", 0.5)]));
  assert.equal(two!.whose, "node-2 has no endpoint; likewise at node-3");
  const [many] = summary(way(["a", "b", "c", "d", "e"].map((each) => ends(each, 0.2))));
  assert.equal(many!.whose, "a has no endpoint; likewise at 4 other nodes");
});

test("addresses and ports, of both families", () => {
  assert.deepEqual([at("fd00::1", 80), at("10.0.0.1", 80)], ["[fd00::1]:80", "10.0.0.1:80"]);
  assert.deepEqual(["[fd00::1]:80", "fd00::1", "10.0.0.1:80", "10.0.0.1"].map(host), ["fd00::1", "fd00::1", "10.0.0.1", "10.0.0.1"]);
  assert.deepEqual(["[fd00::1]:80", "fd00::1", "10.0.0.1:8080"].map(port), [80, null, 8080]);
});
