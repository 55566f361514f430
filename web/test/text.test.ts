import assert from "node:assert/strict";
import { test } from "node:test";
import { fit, naturally, roughly, share, shown, wrap } from "../src/model/text";

test("node-2 comes before node-10", () => {
  assert.deepEqual(["node-10", "node-2", "a", "node-2b"].sort(naturally), ["a", "node-2", "node-2b", "node-10"]);
});

test("a name that fits stays as it is", () => {
  assert.deepEqual(wrap("web", "mono", 100, 3, roughly), ["web"]);
});

test("long names break where people would break them, and lose nothing", () => {
  const name = "a-deployment-with-a-very-long-name-indeed-which-is-63-letters-long";
  const lines = wrap(name, "strong", 180, 4, roughly);
  assert.equal(lines.join(""), name);
  assert.ok(lines.every((each) => roughly(each, "strong") <= 180), lines.join("|"));
  assert.ok(lines.slice(0, -1).every((each) => each.endsWith("-")));
});

test("an IPv6 address and its port keep every digit", () => {
  const address = "[2001:db8:1234:5678:9abc:def0:1234:5678]:30080";
  const lines = wrap(address, "mono", 170, 3, roughly);
  assert.equal(lines.join(""), address);
  assert.ok(lines.every((each) => roughly(each, "mono") <= 170));
});

test("what is longer than its lines loses its middle", () => {
  const lines = wrap("x".repeat(400) + "end", "text", 120, 2, roughly);
  assert.equal(lines.length, 2);
  assert.ok(lines[1]!.includes("…") && lines[1]!.endsWith("end"));
  assert.ok(roughly(fit("y".repeat(300), "mono", 90, roughly), "mono") <= 90);
});

test("characters that turn text around are shown, not obeyed", () => {
  assert.equal(shown("pod\u202eexe.nim\u0007"), "pod\ufffdexe.nim\ufffd");
  assert.equal(shown("<script>alert(1)</script>"), "<script>alert(1)</script>");
});

test("shares are said as people say them", () => {
  assert.deepEqual([1, 0.5, 1 / 3, 0.02].map(share), ["always", "50 %", "33 %", "2.0 %"]);
});
