/** A request that was sent, beside what was predicted of it: hop by hop. */
import type { Outcome, SeenAs, Sent } from "../values";
import { type Hop, host, observed, predicted } from "./hops";

export interface Compared {
  place: string;
  name: string;
  predicted?: Hop;
  observed?: Hop;
  /** What was expected instead of what was seen; empty where they agree. */
  expected: string;
}

export interface Proof {
  rows: Compared[];
  back: Hop[];
  agreed: boolean;
  /** The outcome that it is held against. */
  outcome: number | null;
}

/** Each of its own kind of addresses: to know whose one is, the objects are asked. */
export function proof(sent: Sent, owners: (address: string) => SeenAs): Proof {
  const seen = observed(sent.trace, "request", owners);
  const back = observed(sent.trace, "reply", owners);
  const agreed = sent.differences.length === 0;
  const found = sent.trace.way.outcomes[0];
  const outcome = sent.diverges && sent.predicted ? sent.diverges.outcome : sent.predicted && found ? closest(sent.predicted.outcomes, found) : null;
  const foreseen = outcome === null ? [] : predicted(sent.predicted!, sent.predicted!.outcomes[outcome]!);
  const rows = beside(foreseen.filter((each) => each.place !== "address" || each.rewrites.length > 0), seen);
  const told = rows.find((each) => sent.diverges && sent.diverges.hop !== null && each.observed?.index === sent.diverges.hop);
  if (told) told.expected = sent.diverges!.expected;
  else if (!agreed) blame(rows, sent.differences);
  return { rows, back, agreed, outcome };
}

/** The predicted outcome that has most in common with what was seen. */
export function closest(outcomes: Outcome[], seen: Outcome): number | null {
  let best: number | null = null;
  let most = -1;
  outcomes.forEach((each, index) => {
    const points =
      (each.disposition === seen.disposition ? 8 : 0) + (each.endpoint === seen.endpoint ? 4 : 0) +
      (each.enters === seen.enters ? 4 : 0) + (each.seenAs === seen.seenAs ? 1 : 0) +
      (each.source !== null && each.source === seen.source ? 2 : 0);
    if (points > most) [best, most] = [index, points];
  });
  return best;
}

/** Both in the order of what was seen; what was foreseen alone stands where it would have been. */
function beside(foreseen: Hop[], seen: Hop[]): Compared[] {
  const rows: Compared[] = [];
  let next = 0;
  for (const each of seen) {
    const found = foreseen.findIndex((hop, index) => index >= next && same(hop, each));
    if (found >= 0) {
      for (const missed of foreseen.slice(next, found)) rows.push(row(missed, undefined));
      rows.push(row(foreseen[found], each));
      next = found + 1;
    } else rows.push(row(undefined, each));
  }
  for (const missed of foreseen.slice(next)) rows.push(row(missed, undefined));
  return rows;
}

function same(foreseen: Hop, seen: Hop): boolean {
  if (foreseen.place === seen.place) return true;
  if (foreseen.place === "address") return seen.place === "network" || !/^(client|node|pod)/.test(seen.place);
  return foreseen.place.startsWith("endpoint/") && host(foreseen.place.slice(9)) === host(seen.destination);
}

function row(foreseen: Hop | undefined, seen: Hop | undefined): Compared {
  const hop = (seen ?? foreseen)!;
  return { place: hop.place, name: hop.name, predicted: foreseen, observed: seen, expected: "" };
}

/** Marks the first hop that is other than was foreseen; the last one where no single hop is. */
function blame(rows: Compared[], differences: string[]): void {
  for (const each of rows) {
    each.expected = otherwise(each);
    if (each.expected) return;
  }
  const last = [...rows].reverse().find((each) => each.observed) ?? rows.at(-1);
  if (last) last.expected = differences.join("; ");
}

function otherwise({ place, predicted: foreseen, observed: seen }: Compared): string {
  if (place === "network") return "";
  if (!seen) return foreseen ? `expected to come through ${foreseen.name}; it was not seen there` : "";
  if (!foreseen) return "expected not to come through here";
  if (foreseen.ended && !seen.ended) return `expected to be ${foreseen.ended.disposition} here: ${foreseen.ended.because}`;
  if (!foreseen.ended && seen.ended) return `expected to go on to ${foreseen.destinationAfter}`;
  if (foreseen.ended && seen.ended && foreseen.ended.disposition !== seen.ended.disposition)
    return `expected to be ${foreseen.ended.disposition}`;
  const [expected, found] = [host(foreseen.sourceAfter), host(seen.sourceAfter)];
  if (/^[\da-f:.]+$/.test(expected) && expected !== found) return `expected to go on with the source ${expected}`;
  if (foreseen.owner !== seen.owner && foreseen.owner !== "unknown" && seen.owner !== "unknown")
    return `expected to go on with a source of the ${foreseen.owner}`;
  return "";
}
