import assert from "node:assert/strict";
import { test } from "node:test";
import { asked } from "../src/model/asked";
import { draw } from "../src/model/drawing";
import { fold } from "../src/model/folds";
import { along, type Box, layout, neighbour, path, STACKED } from "../src/model/layout";
import { roughly } from "../src/model/text";
import type { Way } from "../src/values";
import { answers, large, node, outcome, service, way, world } from "./worlds";

const nothing: ReadonlySet<string> = new Set();
const WIDTHS = [300, 344, 620, STACKED, 800, 1200, 2400];

function drawn(looked: Way | undefined, one: number | null = null) {
  const all = world();
  return draw(all, { way: looked, service: looked?.service ? all.service(looked.service) : undefined, outcome: one, open: nothing });
}

test("Cluster: three nodes rewrite, and two pass it on to the third, beside which the endpoint stands", () => {
  const { cards, edges } = drawn(answers.loadbalancer.report.ways[0]);
  const pod = cards.find((each) => each.kind === "pod")!;
  assert.equal(pod.home, "node/node-3");
  for (const name of ["node-1", "node-2", "node-3"]) {
    const card = cards.find((each) => each.title === name)!;
    assert.ok(card.on && card.lines.some((each) => each.tag === "SNAT") && card.lines.some((each) => each.tag === "DNAT"), name);
    assert.equal(card.corner, "33 %");
  }
  const pairs = edges.map((each) => `${each.from} > ${each.to} ${each.owner}`);
  assert.ok(pairs.includes("node/node-1 > node/node-3 node") && pairs.includes("node/node-2 > node/node-3 node"));
  assert.ok(pairs.includes("client > address client"));
  assert.ok(Math.abs(edges.find((each) => each.to === pod.id)!.share - 1) < 1e-9);
});

test("Local: what has no endpoint ends there, with its word and shape", () => {
  const looked = asked(answers.nodeportLocal.report, "svc/nodeport", world());
  const { cards, edges } = drawn(looked);
  const node1 = cards.find((each) => each.title === "node-1")!;
  assert.ok(node1.lines.some((each) => each.tag === "✕" && each.text === "dropped"));
  assert.equal(edges.find((each) => each.to === "node/node-1")!.ended, "dropped");
});

test("one way alone draws its own hops", () => {
  const { edges } = drawn(answers.loadbalancer.report.ways[0], 1);
  assert.deepEqual(edges.map((each) => each.to).filter((each) => each.startsWith("node")), ["node/node-2", "node/node-3"]);
});

test("without a question there are the nodes all the same", () => {
  assert.equal(drawn(undefined).cards.filter((each) => each.kind === "node").length, 3);
});

test("fifty nodes fold by kind, and open again", () => {
  const big = large();
  const wish = { way: big.way, service: big.service, outcome: null, open: nothing };
  const { cards, edges } = draw(big.world, wish);
  const folds = cards.filter((each) => each.kind === "fold" && each.column === 2);
  assert.deepEqual(folds.map((each) => each.title).sort(), ["10 nodes", "40 nodes"]);
  assert.ok(cards.length < 8, String(cards.length));
  assert.ok(Math.abs(edges.find((each) => each.to === folds.find((card) => card.title === "10 nodes")!.id)!.share - 1) < 1e-9);
  const open = new Set(folds.map((each) => each.fold!));
  assert.equal(draw(big.world, { ...wish, open }).cards.filter((each) => each.kind === "node").length, 50);
});

test("a node on the way that is looked at stands by itself", () => {
  const big = large();
  const { cards } = draw(big.world, { way: big.way, service: big.service, outcome: 3, open: nothing });
  assert.ok(cards.some((each) => each.id === "node/node-4" && each.on));
  assert.ok(cards.some((each) => each.title === "9 nodes"));
});

test("nodes that something tells apart don't fold together", () => {
  const nodes = Array.from({ length: 12 }, (_, index) => node(`n${index}`, { ready: index > 3, unschedulable: index > 9 }));
  const { single, folds } = fold(nodes, service([{ node: "n5", address: "10.0.0.1" }]), new Set(), nothing);
  assert.deepEqual(folds.map((each) => [each.label, each.nodes.length]), [["not ready · without endpoints", 4], ["without endpoints", 5]]);
  assert.deepEqual(single.map((each) => each.name), ["n5", "n10", "n11"]);
});

test("a terminating endpoint and one that isn't ready say so", () => {
  const all = world();
  const web = service([{ node: "node-1", address: "10.244.1.9" }, { node: "node-2", address: "10.244.2.9" }]);
  web.endpoints[0]!.terminating = true;
  web.endpoints[1]!.ready = false;
  const { cards } = draw(all, { way: undefined, service: web, outcome: null, open: nothing });
  assert.deepEqual(cards.filter((each) => each.kind === "pod").map((each) => each.lines.at(-1)!.text), ["terminating", "not ready"]);
});

const LONG = "a-name-of-sixty-three-characters-which-is-all-that-a-label-holds";
const IPV6 = "2001:db8:1234:5678:9abc:def0:1234:5678";

function pictures(): [string, ReturnType<typeof draw>][] {
  const big = large();
  const open = new Set(["fold/with-endpoints,-check-passes", "fold/without-endpoints,-check-fails"]);
  const all = world();
  all.apply({ put: [node(LONG, { addresses: [IPV6] }), node("y", { ready: false, unschedulable: true, excluded: true })], gone: [] });
  const long = service(
    [{ node: LONG, address: IPV6, pod: `pod/${LONG}/${"x".repeat(253)}` }],
    { name: LONG, namespace: LONG, clusterIPs: [IPV6], vips: [{ address: `${LONG}.${LONG}.example`, mode: "", service: "" }] },
  );
  const far = way([outcome({
    source: IPV6, seenAs: "node", endpoint: `[${IPV6}]:8080`, endpointPod: `${LONG}/${"x".repeat(253)}`, endpointNode: LONG, enters: "node-1",
    steps: [
      { who: "outside", what: "send", from: IPV6, to: `[${IPV6}]:80`, code: "Sent", because: "" },
      { who: LONG, what: "dnat", from: `[${IPV6}]:80`, to: `[${IPV6}]:8080`, code: "DestinationRewritten", because: "", node: "node-1" },
      { who: LONG, what: "snat", from: IPV6, to: IPV6, code: "ClusterPolicyMasquerades", because: "", node: "node-1" },
      { who: "pod", what: "deliver", from: null, to: `[${IPV6}]:8080`, code: "Delivered", because: "", node: LONG },
    ],
  })], { address: IPV6, family: "IPv6", clientAddress: IPV6 });
  return [
    ["three nodes", drawn(answers.loadbalancer.report.ways[0])],
    ["a way that ends", drawn(answers.nodeportLocal.report.ways[0])],
    ["fifty nodes", draw(big.world, { way: big.way, service: big.service, outcome: null, open: nothing })],
    ["fifty nodes, opened", draw(big.world, { way: big.way, service: big.service, outcome: null, open })],
    ["long names", draw(all, { way: far, service: long, outcome: null, open: nothing })],
  ];
}

const over = (a: Box, b: Box) => a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;

for (const [name, picture] of pictures())
  for (const width of WIDTHS)
    test(`${name}, ${width} wide: nothing is over anything else, or out of the picture`, () => {
      const { boxes, height, runs } = layout(picture, width, roughly);
      const all = [...boxes.values()];
      assert.equal(all.length, picture.cards.length);
      all.forEach((each, index) => {
        for (const other of all.slice(index + 1)) assert.ok(!over(each, other), `${each.card.id} and ${other.card.id}`);
        assert.ok(each.x >= 0 && each.y >= 0 && each.x + each.width <= width && each.y + each.height <= height, each.card.id);
        for (const row of each.rows) {
          assert.ok(row.x + roughly(row.text, row.font) <= each.width, `${each.card.id}: ${row.text}`);
          assert.ok(row.y < each.height, `${each.card.id}: ${row.text}`);
        }
      });
      for (const { curve } of runs) {
        assert.match(path(curve), /^M[-\d.]+,[-\d.]+C/);
        for (const part of [0, 0.3, 0.7, 1]) {
          const { x, y } = along(curve, part);
          assert.ok(x >= 0 && x <= width && y >= 0 && y <= height, `${x},${y}`);
        }
      }
    });

test("the same drawing is laid out the same", () => {
  const [, picture] = pictures()[0]!;
  assert.deepEqual(layout(picture, 900, roughly), layout(picture, 900, roughly));
});

test("nodes stand in the order of their names, whatever is drawn", () => {
  for (const [, picture] of pictures().slice(0, 4)) {
    const nodes = [...layout(picture, 1000, roughly).boxes.values()].filter((each) => each.card.kind === "node");
    assert.deepEqual(nodes.map((each) => each.y), [...nodes.map((each) => each.y)].sort((a, b) => a - b));
  }
});

test("arrow keys lead through the picture, and every card is reached", () => {
  for (const [name, picture] of pictures()) {
    for (const width of [344, 1000]) {
      const { boxes } = layout(picture, width, roughly);
      const reached = new Set(["client"]);
      for (const id of reached)
        for (const key of ["ArrowRight", "ArrowLeft", "ArrowUp", "ArrowDown"]) {
          const next = neighbour(boxes, id, key);
          if (next) reached.add(next);
        }
      assert.deepEqual([...boxes.keys()].filter((each) => !reached.has(each)), [], name);
    }
  }
});

test("that a node's address for those outside leads to its own is no rewrite of the node's", () => {
  const looked = asked(answers.nodeportLocal.report, "svc/nodeport", world());
  const { cards } = drawn(looked);
  assert.ok(!cards.find((each) => each.title === "node-1")!.lines.some((each) => each.tag === "DNAT"));
});
