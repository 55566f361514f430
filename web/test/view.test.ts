import assert from "node:assert/strict";
import { test } from "node:test";
import { fragment, NOTHING, token, type View, view } from "../src/model/view";

const question = { from: "pod/shop/a b", to: "svc/web", namespace: "shop", node: "node-1" };

for (const [name, looked] of Object.entries({
  nothing: NOTHING,
  "a question": { ...NOTHING, question },
  "an edit": { ...NOTHING, question, compare: { kind: "edit", changes: { externalTrafficPolicy: "Local", loadBalancerClass: "a/b:c" } } },
  "two questions": { ...NOTHING, question, compare: { kind: "other", question: { ...question, from: "outside", to: "[fd00::1]:80" } } },
  "a way of it": { ...NOTHING, question, outcome: 0, tab: "proof", sent: "17", open: ["fold/without-endpoints", "pods/node-1"] },
} as Record<string, View>))
  test(`a link brings back ${name}`, () => {
    assert.deepEqual(view(`#${fragment(looked)}`), looked);
  });

test("what a fragment can't mean is left out", () => {
  assert.deepEqual(view("#tab=nonsense&way=-1&edit=x&way=x"), NOTHING);
});

test("the token is taken out of a link", () => {
  assert.deepEqual(token("#token=abc&to=svc%2Fweb"), { token: "abc", rest: "to=svc%2Fweb" });
  assert.deepEqual(token("#to=x"), { token: null, rest: "to=x" });
});
