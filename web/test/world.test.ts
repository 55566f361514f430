import assert from "node:assert/strict";
import { test } from "node:test";
import { clients, matching, named, targets } from "../src/model/choices";
import { World } from "../src/model/world";
import { large, node, world } from "./worlds";

test("objects come, change and go, and nothing is kept of what went", () => {
  const all = new World();
  all.begin({ capabilities: all.capabilities, entities: [node("a")], unread: [] });
  for (let i = 0; i < 1000; i++) {
    all.apply({ put: [node(`n${i}`)], gone: [] });
    all.apply({ put: [], gone: [`node/n${i}`] });
  }
  assert.deepEqual([all.entities.size, all.changed.size], [1, 0]);
  all.begin({ capabilities: all.capabilities, entities: [], unread: [] });
  assert.equal(all.entities.size, 0);
});

test("every node, pod and address can be chosen, and found by parts of its name", () => {
  const all = world();
  const from = clients(all).map((each) => each.value.from);
  assert.ok(from.includes("node/node-2") && from.includes("198.51.100.79") && from.some((each) => each?.startsWith("pod/default/")));
  const [first] = matching(targets(all), "load svc");
  assert.deepEqual(first!.value, { to: "svc/loadbalancer", namespace: "default" });
  assert.ok(matching(targets(all), "203.0.113").length > 0);
  assert.deepEqual(matching(targets(all), "nothing of this name"), []);
  assert.equal(named(clients(all), { from: "192.0.2.99", to: "", namespace: "", node: "" }, "from"), "192.0.2.99");
});

test("lists are bounded", () => {
  assert.ok(matching(clients(large().world), "").length <= 60);
});
