/** What a way comes to, in few words: whose address the server sees, how often, and what happens otherwise. */
import type { Disposition, Outcome, SeenAs, Way } from "../values";
import { host } from "./hops";
import { share } from "./text";

export interface Seen {
  disposition: Disposition;
  /** The address, where it can be told. */
  address: string | null;
  seenAs: SeenAs;
  /** Whose it is, in words. */
  whose: string;
  share: number;
  /** Which of the way's outcomes come to this. */
  outcomes: number[];
  /** The nodes at which they do, where they end. */
  nodes: string[];
}

/** The most likely first; what nobody receives, last. */
export function summary(way: Way): Seen[] {
  const found = new Map<string, Seen>();
  way.outcomes.forEach((outcome, index) => {
    const key = [outcome.disposition, outcome.seenAs, outcome.source ?? outcome.sourceNote].join("|");
    const seen = found.get(key);
    if (seen) {
      seen.share += outcome.share;
      seen.outcomes.push(index);
      if (outcome.enters && !seen.nodes.includes(outcome.enters)) seen.nodes.push(outcome.enters);
    } else {
      found.set(key, {
        disposition: outcome.disposition, address: outcome.source ? host(outcome.source) : null, seenAs: outcome.seenAs,
        whose: whose(outcome, way), share: outcome.share, outcomes: [index], nodes: outcome.enters ? [outcome.enters] : [],
      });
    }
  });
  // The sentence is about one node: where it is the same at others, it says so.
  for (const each of found.values())
    if (each.disposition !== "delivered" && each.nodes.length > 1) each.whose += `; likewise at ${others(each.nodes.slice(1))}`;
  const received = (each: Seen) => (each.disposition === "delivered" ? 0 : 1);
  return [...found.values()].sort((a, b) => received(a) - received(b) || b.share - a.share);
}

function others(nodes: string[]): string {
  return nodes.length <= 3 ? nodes.join(", ").replace(/, ([^,]*)$/, " and $1") : `${nodes.length} other nodes`;
}

/** How many other nodes an outcome stands for, in a cluster too large to list them all. */
export function alike(outcome: Outcome): number {
  const note = outcome.notes.find((each) => each.code === "NodesAlike");
  return Number(/stands for (\d+) more/.exec(note?.sentence ?? "")?.[1] ?? 0);
}

const WORDS: Record<SeenAs, string> = {
  client: "the client's own address", node: "a node's address", pod: "an address of a pod in between",
  balancer: "the load balancer's address", other: "somebody else's address", unknown: "nobody can tell whose",
};

function whose(outcome: Outcome, way: Way): string {
  if (outcome.disposition !== "delivered" && outcome.disposition !== "answered") return reason(outcome);
  if (outcome.seenAs === "client") return WORDS.client;
  const like = alike(outcome);
  if (like && outcome.sourceNote) return `${outcome.sourceNote}, or of one of ${like} nodes like it`;
  return outcome.sourceNote || (outcome.sourceOwner ? `${WORDS[outcome.seenAs]}: ${outcome.sourceOwner}` : WORDS[outcome.seenAs]) || way.client;
}

/** Why it ends as it does. */
export function reason(outcome: Outcome): string {
  const last = outcome.steps.at(-1);
  const ends = last?.what === "drop" || last?.what === "refuse";
  const like = alike(outcome);
  if (ends && last.because && like) return `${last.because}; likewise at ${like} nodes like it`;
  return (ends && last.because) || outcome.notes.at(0)?.sentence || last?.because || outcome.sourceNote;
}

export const DISPOSITIONS: Record<Disposition, { word: string; glyph: string; means: string }> = {
  delivered: { word: "delivered", glyph: "●", means: "the server receives it" },
  refused: { word: "refused", glyph: "⊘", means: "the client is told at once" },
  dropped: { word: "dropped", glyph: "✕", means: "the client waits for its time-out" },
  unreachable: { word: "unreachable", glyph: "⊣", means: "no way leads there from this client" },
  answered: { word: "answered by another", glyph: "◐", means: "somebody else than the endpoints answers" },
  unknown: { word: "unknown", glyph: "?", means: "it can't be told from the objects" },
};

/** One sentence for those who listen. */
export function spoken(way: Way): string {
  const from = `From ${way.client} to ${way.address} port ${way.port}`;
  if (way.outcomes.length === 0) return `${from}: nothing is known.`;
  const parts = summary(way).map((each) => {
    const often = each.share >= 0.9995 ? "" : ` (${share(each.share)})`;
    if (each.disposition !== "delivered") return `${DISPOSITIONS[each.disposition].word}${often}, ${each.whose}`;
    return each.seenAs === "client"
      ? `the server sees the client's own address${each.address ? ` ${each.address}` : ""}${often}`
      : `the server sees ${each.address ?? ""} ${each.whose}${often}`;
  });
  return `${from}: ${parts.join("; ")}.`;
}
