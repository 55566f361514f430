/** Which way of a report the page draws: the first, or, for a Service on every node's port, those of all nodes. */
import type { Report, Way } from "../values";
import type { World } from "./world";

export const EACH = "each node";

export function asked(report: Report, target: string, world: World): Way | undefined {
  const [first] = report.ways;
  if (!first || first.frontend !== "NodePort" || !target.startsWith("svc/")) return first;
  const same = report.ways.filter((each) =>
    each.frontend === "NodePort" && each.client === first.client && each.family === first.family && each.port === first.port);
  const nodes = new Map<string, Way>();
  for (const each of same) {
    const node = world.nodes.find(({ addresses, external }) => addresses.includes(each.address) || external.includes(each.address));
    const name = node?.name ?? each.address;
    const known = nodes.get(name);
    // As the document does: by the address that a node has for those outside.
    if (!known || (node?.external.includes(each.address) && !node.external.includes(known.address))) nodes.set(name, each);
  }
  if (nodes.size < 2) return first;
  const ways = [...nodes.values()];
  return {
    ...first, address: EACH,
    outcomes: ways.flatMap((each) => each.outcomes.map((outcome) => ({ ...outcome, share: outcome.share / ways.length }))),
  };
}

/** What has to be dialled so that an outcome may come of it. */
export function dialled(way: Way, outcome: number | null): string {
  const step = way.outcomes[outcome ?? 0]?.steps[0];
  if (way.address === EACH && step?.what === "send" && step.to) return step.to;
  return way.address.includes(":") ? `[${way.address}]:${way.port}` : `${way.address}:${way.port}`;
}
