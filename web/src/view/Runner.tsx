/** A request's packets, running over the picture. Moves what it has drawn; nothing is drawn anew for a frame. */
import { useEffect, useMemo, useRef } from "preact/hooks";
import { journey, moment, type Placed } from "../model/journey";
import { type Layout, path } from "../model/layout";
import { observed, type Hop } from "../model/hops";
import type { Page } from "../page";
import type { Sent } from "../values";
import { measure } from "./measuring";

export function Runner({ page, sent, layout }: { page: Page; sent: Sent; layout: Layout }) {
  const packet = useRef<SVGGElement>(null);
  const label = useRef<SVGGElement>(null);
  const made = useMemo(() => {
    const there = placed(observed(sent.trace, "request", page.owner), layout, sent);
    const back = placed(observed(sent.trace, "reply", page.owner), layout, sent);
    return journey(there, back, (from, to) => connect(layout, from, to));
  }, [sent, layout]);
  const started = useRef(0);

  useEffect(() => {
    const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
    let frame = 0;
    const show = (seconds: number) => {
      const now = moment(made, seconds);
      if (!now || !packet.current || !label.current) return;
      packet.current.setAttribute("transform", `translate(${now.at.x},${now.at.y})`);
      packet.current.setAttribute("class", `packet owner-${now.owner} ${now.reply ? "reply" : ""} ${now.paused ? "paused" : ""}`);
      const text = label.current.querySelector("text")!;
      if (text.textContent !== now.text) text.textContent = now.text;
      const width = measure(now.text, "mono") + 16;
      const x = Math.max(2, Math.min(layout.width - width - 2, now.at.x - width / 2));
      // Above the cards where there is room; beside it, where that would be far away.
      const y = layout.captions.length && layout.height < 760 ? 0 : now.at.y > 40 ? now.at.y - 34 : now.at.y + 14;
      label.current.setAttribute("transform", `translate(${x},${y})`);
      label.current.querySelector("rect")!.setAttribute("width", String(width));
    };
    const tick = (time: number) => {
      started.current ||= time;
      const seconds = page.scrub ?? ((time - started.current) / 1000) * 1;
      show(Math.min(seconds, made.seconds));
      page.progress(seconds, made.seconds);
      if (page.scrub === null && seconds >= made.seconds) return;
      frame = requestAnimationFrame(tick);
    };
    if (still && page.scrub === null) {
      show(made.seconds);
      page.progress(made.seconds, made.seconds);
    } else frame = requestAnimationFrame(tick);
    const wake = () => {
      cancelAnimationFrame(frame);
      frame = requestAnimationFrame(tick);
    };
    page.onScrub = wake;
    return () => {
      cancelAnimationFrame(frame);
      if (page.onScrub === wake) page.onScrub = null;
    };
  }, [made]);

  return (
    <g class="run" aria-hidden="true">
      {made.legs.filter((each) => !each.reply).map((leg, index) => (
        <path key={index} class={`trail owner-${leg.owner}`} d={path(leg.curve)} />
      ))}
      <g ref={packet} class="packet"><circle r={7} /></g>
      <g ref={label} class="packet-label"><rect height={22} rx={4} /><text x={8} y={15} /></g>
    </g>
  );
}

/** The cards that the hops are at; what isn't drawn is passed by, the network only where the address is. */
function placed(hops: Hop[], layout: Layout, sent: Sent): Placed[] {
  const found: Placed[] = [];
  hops.forEach((hop, index) => {
    const outside = hops[index - 1]?.place === "client" || hops[index + 1]?.place === "client";
    const card = hop.place === "network" ? (outside && layout.boxes.has("address") ? "address" : "") : cardOf(hop, layout, sent);
    if (!card) return;
    const last = found.at(-1);
    if (last?.card === card) found[found.length - 1] = { card, hop: { ...hop, rewrites: [...last.hop.rewrites, ...hop.rewrites] } };
    else found.push({ card, hop });
  });
  return through(found, layout);
}

/** By the address that was dialled, where the ways are drawn through it, though nobody is there. */
function through(stops: Placed[], layout: Layout): Placed[] {
  const drawn = (from: string, to: string) => layout.runs.some(({ edge }) => edge.from === from && edge.to === to);
  return stops.flatMap((stop, index) => {
    const next = stops[index + 1];
    if (!next || drawn(stop.card, next.card) || drawn(next.card, stop.card)) return [stop];
    const [first, second] = stop.card === "client" ? [stop.card, next.card] : [next.card, stop.card];
    if (!drawn(first, "address") || !drawn("address", second)) return [stop];
    return [stop, { card: "address", hop: { ...stop.hop, rewrites: [], ended: undefined } }];
  });
}

function cardOf(hop: Hop, layout: Layout, sent: Sent): string {
  if (layout.boxes.has(hop.place)) return hop.place;
  const endpoint = `endpoint/${sent.trace.way.outcomes[0]?.endpoint ?? ""}`;
  if (hop.place.startsWith("pod/") && layout.boxes.has(endpoint)) return endpoint;
  return "";
}

/** A way that is drawn between them, in either direction; a straight one where none is. */
function connect(layout: Layout, from: string, to: string) {
  const run = layout.runs.find(({ edge }) => edge.from === from && edge.to === to);
  if (run) return { curve: run.curve, back: false };
  const reverse = layout.runs.find(({ edge }) => edge.from === to && edge.to === from);
  if (reverse) return { curve: reverse.curve, back: true };
  const [a, b] = [layout.boxes.get(from), layout.boxes.get(to)];
  if (!a || !b) return undefined;
  const forward = a.x < b.x;
  const start = { x: forward ? a.x + a.width : a.x, y: a.y + a.height / 2 };
  const end = { x: forward ? b.x : b.x + b.width, y: b.y + b.height / 2 };
  if (a.card.column === b.card.column) {
    start.x = a.x + a.width;
    end.x = b.x + b.width;
    return { curve: [start, { x: start.x + 50, y: start.y }, { x: end.x + 50, y: end.y }, end], back: false };
  }
  return { curve: [start, { x: (start.x + end.x) / 2, y: start.y }, { x: (start.x + end.x) / 2, y: end.y }, end], back: false };
}
