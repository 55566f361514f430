import assert from "node:assert/strict";
import { test } from "node:test";
import { journey, moment } from "../src/model/journey";
import { proof } from "../src/model/proof";
import type { SeenAs } from "../src/values";
import { sent } from "./worlds";

const owner = (address: string): SeenAs => (address === "198.51.100.79" ? "client" : address.startsWith("10.240.") || address.startsWith("192.0.2.") ? "node" : "other");

test("what came as predicted has no red hop, and each hop beside its prediction", () => {
  for (const name of ["local", "cluster"] as const) {
    const { agreed, rows, back } = proof(sent[name], owner);
    assert.ok(agreed);
    assert.deepEqual(rows.filter((each) => each.expected), []);
    assert.ok(rows.filter((each) => each.place !== "network").every((each) => each.predicted && each.observed), name);
    assert.ok(back.length >= 3);
  }
});

test("what differs is red at one hop, and says what was expected there", () => {
  const { agreed, rows } = proof(sent.differs, owner);
  assert.ok(!agreed);
  const red = rows.filter((each) => each.expected);
  assert.equal(red.length, 1);
  assert.match(red[0]!.place, /^node\/node-1$/);
  assert.match(red[0]!.expected, /^expected/);
});

test("a packet runs there, turns, and runs back along the same way", () => {
  const hop = proof(sent.cluster, owner).rows[0]!.observed!;
  const stops = ["client", "address", "node/a"].map((card) => ({ card, hop: { ...hop, rewrites: card === "address" ? [{ what: "source" as const, from: "", to: "", who: "", because: "" }] : [] } }));
  const xs: Record<string, number> = { client: 0, address: 100, "node/a": 200 };
  const made = journey(stops, [...stops].reverse(), (from, to) => ({
    curve: [0, 1 / 3, 2 / 3, 1].map((part) => ({ x: Math.min(xs[from]!, xs[to]!) + part * 100, y: 0 })), back: xs[from]! > xs[to]!,
  }));
  assert.equal(made.legs.length, 4);
  assert.equal(moment(made, 0)!.at.x, 0);
  assert.equal(Math.round(moment(made, made.seconds)!.at.x), 0);
  const turn = made.legs[2]!;
  assert.ok(turn.reply && Math.round(moment(made, turn.begins)!.at.x) === 200);
  const positions = Array.from({ length: 200 }, (_, index) => moment(made, (made.seconds * index) / 199)!.at.x);
  for (let i = 1; i < positions.length; i++) assert.ok(Math.abs(positions[i]! - positions[i - 1]!) < 12, "no jump");
  assert.equal(made.pauses.length, 2);
});
