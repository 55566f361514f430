/** Nodes of a kind fold together where there are more than can be read. */
import type { Node, Service } from "../values";
import { count } from "./text";

export interface Fold {
  id: string;
  nodes: Node[];
  label: string;
}

/** How many nodes stand by themselves at most before those of a kind fold. */
export const LIMIT = 8;

export interface Folded {
  single: Node[];
  folds: Fold[];
}

/** Folds of those that nothing tells apart for this Service; `pinned` and opened ones stand by themselves. */
export function fold(
  nodes: Node[], service: Service | undefined, pinned: ReadonlySet<string>, open: ReadonlySet<string>, limit = LIMIT,
): Folded {
  if (nodes.length <= limit) return { single: nodes, folds: [] };
  const endpoints = new Map<string, number>();
  for (const each of service?.endpoints ?? []) endpoints.set(each.node, (endpoints.get(each.node) ?? 0) + 1);
  const kinds = new Map<string, Fold>();
  for (const node of nodes) {
    if (pinned.has(node.name)) continue;
    const { key, label } = kind(node, service, endpoints.get(node.name) ?? 0);
    const found = kinds.get(key);
    if (found) found.nodes.push(node);
    else kinds.set(key, { id: `fold/${key}`, nodes: [node], label });
  }
  const folds = [...kinds.values()].filter((each) => each.nodes.length > 2 && !open.has(each.id));
  const inside = new Set(folds.flatMap((each) => each.nodes));
  return { single: nodes.filter((each) => !inside.has(each)), folds };
}

function kind(node: Node, service: Service | undefined, endpoints: number): { key: string; label: string } {
  const passes = service ? node.checks[service.id] : undefined;
  const parts = [
    node.ready ? "" : "not ready",
    node.unschedulable ? "cordoned" : "",
    node.excluded ? "left out by balancers" : "",
    endpoints ? "with endpoints" : "without endpoints",
    passes === undefined ? "" : passes ? "check passes" : "check fails",
  ].filter(Boolean);
  return { key: parts.join(", ").replaceAll(" ", "-"), label: parts.join(" · ") };
}

export function foldTitle(fold: Fold): string {
  return count(fold.nodes.length, "node");
}

/** The first and last of them. */
export function foldNames(fold: Fold): string {
  const names = fold.nodes.map((each) => each.name);
  return names.length > 2 ? `${names[0]} … ${names.at(-1)}` : names.join(", ");
}
