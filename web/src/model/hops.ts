/** A way as hops: through which places a packet comes, what is written on it there, and who rewrites it and why. */
import type { Decision, Disposition, HopView, Outcome, SeenAs, Step, Trace, Way } from "../values";

export interface Rewrite {
  what: "source" | "destination" | "connection";
  from: string;
  to: string;
  who: string;
  because: string;
  decidedBy?: Decision;
  rule?: string;
}

export interface Hop {
  /** `client`, `address`, `node/NAME`, `pod/NAMESPACE/NAME`, `endpoint/ADDRESS`, `network`. */
  place: string;
  /** As people call it. */
  name: string;
  /** As the packet comes in. */
  source: string;
  destination: string;
  /** As it goes on. */
  sourceAfter: string;
  destinationAfter: string;
  /** Whose address its source is as it goes on. */
  owner: SeenAs;
  /** And as it comes in. */
  ownerBefore: SeenAs;
  rewrites: Rewrite[];
  /** What else happens there. */
  said: { who: string; because: string; decidedBy?: Decision }[];
  /** Set where it ends without an endpoint. */
  ended?: { disposition: Disposition; because: string; decidedBy?: Decision; who: string };
  microseconds?: number;
  leg?: number;
  /** Of an observation: which of the trace's hops it is. */
  index?: number;
}

const OWN = "the client's own address";

/** A packet's way as it is predicted. */
export function predicted(way: Way, outcome: Outcome): Hop[] {
  const [first] = outcome.steps;
  const dialled = (first?.what === "send" && first.to) || at(way.address, way.port);
  let source = way.clientAddress ?? OWN;
  let destination = dialled;
  let owner: SeenAs = "client";
  const hops: Hop[] = [];
  const changes = outcome.steps.filter((each) => each.what === "snat" || each.what === "terminate");

  const enter = (place: string, name: string): Hop => {
    const last = hops.at(-1);
    if (last?.place === place) return last;
    const hop: Hop = {
      place, name, source, destination, sourceAfter: source, destinationAfter: destination, owner, ownerBefore: owner,
      rewrites: [], said: [],
    };
    hops.push(hop);
    return hop;
  };
  const where = (step: Step): Hop => (step.node ? enter(`node/${step.node}`, step.node) : enter("address", dialled));

  enter("client", way.client);
  enter("address", dialled);
  for (const step of outcome.steps) {
    const { who, because, decidedBy } = step;
    switch (step.what) {
      case "send":
        break;
      case "dnat": {
        const hop = where(step);
        hop.rewrites.push({ what: "destination", from: step.from ?? destination, to: step.to ?? "", who, because, decidedBy });
        destination = step.to ?? destination;
        hop.destinationAfter = destination;
        break;
      }
      case "snat":
      case "terminate": {
        const hop = where(step);
        const after = step.to ?? (step === changes.at(-1) ? outcome.sourceNote : "") ?? "";
        hop.rewrites.push({
          what: step.what === "snat" ? "source" : "connection", from: step.from ?? source, to: after, who, because, decidedBy,
        });
        source = after || "unknown";
        owner = step === changes.at(-1) ? outcome.seenAs : step.node ? "node" : "balancer";
        hop.sourceAfter = source;
        hop.owner = owner;
        break;
      }
      case "drop":
      case "refuse": {
        where(step).ended = { disposition: outcome.disposition, because, decidedBy, who };
        break;
      }
      case "deliver": {
        if (outcome.endpointNode) enter(`node/${outcome.endpointNode}`, outcome.endpointNode);
        const end = outcome.endpoint ?? "";
        const pod = outcome.endpointPod;
        // Who terminates last dials on, whatever it was told.
        destination = step.to ?? (end || destination);
        const hop = enter(pod ? `pod/${pod}` : `endpoint/${end}`, pod || end);
        hop.said.push({ who, because, decidedBy });
        break;
      }
      default:
        where(step).said.push({ who, because, decidedBy });
    }
  }
  const last = hops.at(-1)!;
  if (outcome.disposition !== "delivered" && !last.ended) {
    const why = outcome.steps.at(-1);
    const note = outcome.notes.at(0);
    last.ended = {
      disposition: outcome.disposition,
      because: note?.sentence ?? why?.because ?? outcome.sourceNote,
      who: why?.who ?? "",
      decidedBy: note?.decidedBy ?? why?.decidedBy,
    };
  }
  return hops;
}

/** A packet's way as it was seen, there (`request`) or back (`reply`). */
export function observed(trace: Trace, direction: "request" | "reply", owners: (address: string) => SeenAs): Hop[] {
  const first = trace.hops.find((each) => each.direction === "request")?.place;
  const hops = trace.hops.flatMap((each, index) => (each.direction === direction ? [{ ...hopOf(each, first, owners), index }] : []));
  const outcome = trace.way.outcomes[0];
  const last = hops.at(-1);
  if (direction === "request" && outcome && last && outcome.disposition !== "delivered") {
    const step = [...outcome.steps].reverse().find((each) => each.what !== "reply");
    last.ended = {
      disposition: outcome.disposition, because: step?.because ?? trace.answer.ended, who: step?.who ?? "",
      decidedBy: step?.decidedBy,
    };
  }
  return hops;
}

function hopOf(hop: HopView, first: string | undefined, owners: (address: string) => SeenAs): Hop {
  let { source, destination } = hop;
  for (const each of hop.rewrites) {
    if (each.what === "source") source = each.to;
    else destination = each.to;
  }
  return {
    place: placeOf(hop.place, hop.place === first), name: hop.place, source: hop.source, destination: hop.destination,
    sourceAfter: source, destinationAfter: destination, owner: owners(host(source)), ownerBefore: owners(host(hop.source)),
    rewrites: hop.rewrites.map((each) => ({
      what: each.what === "source" ? "source" : "destination", from: each.from, to: each.to, who: each.who,
      because: each.rule ? "" : "connection tracking undoes what was done on the way there",
      rule: each.reason ? `${each.rule}   (asked for by ${each.reason})` : each.rule,
    })),
    said: [], microseconds: hop.microseconds, leg: hop.leg,
  };
}

function placeOf(place: string, first: boolean): string {
  if (first || place === "client") return "client";
  if (place === "edge" || place === "internet") return "network";
  if (place.startsWith("pod ")) return `pod/${place.slice(4)}`;
  return `node/${place}`;
}

/** `10.0.0.1:80`, `[fd00::1]:80`. */
export function at(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** The address of `address:port`. */
export function host(endpoint: string): string {
  const bracketed = /^\[(.*)\](?::\d+)?$/.exec(endpoint);
  if (bracketed) return bracketed[1]!;
  const colons = endpoint.split(":").length - 1;
  return colons === 1 ? endpoint.slice(0, endpoint.indexOf(":")) : endpoint;
}

export function port(endpoint: string): number | null {
  const found = /^(?:\[.*\]|[^:]*):(\d+)$/.exec(endpoint);
  return found ? Number(found[1]) : null;
}
