/** What one can choose as a client or as an address, and which of them fit what is typed. */
import type { Service } from "../values";
import { addressesOf } from "./drawing";
import { at } from "./hops";
import { naturally, shown } from "./text";
import type { Question } from "./view";
import type { World } from "./world";

export interface Choice {
  value: Partial<Question>;
  label: string;
  detail: string;
}

export function clients(world: World): Choice[] {
  const found: Choice[] = world.clients.map((each) => ({
    value: { from: each.asks }, label: each.name === each.asks ? each.name : `${each.name} (outside)`, detail: each.addresses.join(" "),
  }));
  if (!found.some((each) => each.value.from === "outside"))
    found.push({ value: { from: "outside" }, label: "outside", detail: "any address in none of the cluster's networks" });
  for (const each of world.nodes) found.push({ value: { from: `node/${each.name}` }, label: `node ${each.name}`, detail: each.addresses[0] ?? "" });
  const pods = world.pods.filter((each) => each.phase === "Running" || each.phase === "").sort((a, b) => naturally(a.name, b.name));
  for (const each of pods)
    found.push({ value: { from: `pod/${each.namespace}/${each.name}` }, label: `pod ${each.namespace}/${each.name}`, detail: `${each.addresses[0] ?? ""} on ${each.node}` });
  return found;
}

export function targets(world: World): Choice[] {
  const found: Choice[] = [];
  for (const each of world.services) {
    const namespace = each.namespace;
    found.push({ value: { to: `svc/${each.name}`, namespace }, label: `svc ${namespace}/${each.name}`, detail: of(each) });
    for (const { to, where } of addressesOf(world, each).slice(0, 60))
      found.push({ value: { to, namespace }, label: to, detail: `${where} · ${namespace}/${each.name}` });
  }
  for (const service of world.services)
    for (const each of service.endpoints)
      found.push({ value: { to: at(each.address, each.port), namespace: service.namespace }, label: at(each.address, each.port), detail: `endpoint of ${service.namespace}/${service.name}` });
  return found;
}

function of({ type, externalTrafficPolicy, class: kind }: Service): string {
  return [type, externalTrafficPolicy && externalTrafficPolicy, kind].filter(Boolean).join(" · ");
}

/** Those that have every word, best first: a label that begins so. */
export function matching(choices: Choice[], typed: string, most = 60): Choice[] {
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const fits = choices.filter((each) => {
    const text = `${each.label} ${each.detail}`.toLowerCase();
    return words.every((word) => text.includes(word));
  });
  const first = words[0] ?? "";
  if (first) {
    const rank = (each: Choice) => each.label.toLowerCase().split(/[ /]/).some((part) => part.startsWith(first)) ? 0 : 1;
    fits.sort((a, b) => rank(a) - rank(b));
  }
  return fits.slice(0, most);
}

/** What is chosen, in its words. */
export function named(choices: Choice[], question: Question, what: "from" | "to"): string {
  const found = choices.find((each) => each.value[what] === question[what] && (what === "from" || !question.to.startsWith("svc/") || each.value.namespace === question.namespace));
  return shown(found?.label ?? question[what]);
}
