/** Hops, one below another: what is written on the packet, who rewrites it, and why. */
import { DISPOSITIONS } from "../model/answer";
import { type Hop, host } from "../model/hops";
import { shown } from "../model/text";
import type { Decision } from "../values";

export function HopList({ hops, label }: { hops: Hop[]; label: string }) {
  return <ol class="hops" aria-label={label}>{hops.map((each, index) => <HopRow key={index} hop={each} last={index === hops.length - 1} />)}</ol>;
}

function HopRow({ hop, last }: { hop: Hop; last: boolean }) {
  const server = last && !hop.ended;
  return (
    <li class={`hop owner-${hop.owner} ${server ? "server" : ""}`}>
      <p class="where"><b>{title(hop)}</b>{hop.microseconds !== undefined && <span class="time">{Math.round(hop.microseconds)} µs</span>}</p>
      {server ? <p class="packet"><span class="quiet">sees </span><Source hop={hop} address={host(hop.source)} /></p> : <Written hop={hop} />}
      {hop.rewrites.map((each, index) => (
        <div key={index} class="rewrite">
          <p><span class={`tag ${each.what}`}>{TAGS[each.what]}</span> <code>{shown(each.from)}</code> → <code class="new">{shown(each.to)}</code></p>
          <p class="why"><b>{shown(each.who)}</b>{each.because ? `: ${shown(each.because)}` : ""}</p>
          {each.rule && <p class="rule"><code>{shown(each.rule)}</code></p>}
          <Decided by={each.decidedBy} />
        </div>
      ))}
      {hop.said.filter((each) => each.because && !server).map((each, index) => (
        <div key={index} class="rewrite said"><p class="why"><b>{shown(each.who)}</b>: {shown(each.because)}</p><Decided by={each.decidedBy} /></div>
      ))}
      {hop.ended && <End hop={hop} />}
    </li>
  );
}

const TAGS = { source: "SNAT", destination: "DNAT", connection: "new connection" };

function title(hop: Hop): string {
  const name = shown(hop.name);
  if (hop.place === "client") return /^(pod|node)\b/.test(name) ? `client ${name.replace("/", " ")}` : "client, outside";
  if (hop.place === "address") return `address ${name}`;
  if (hop.place.startsWith("endpoint/")) return `endpoint ${name}`;
  if (hop.place.startsWith("pod/")) return `pod ${name.replace(/^pod /, "")}`;
  return name;
}

function Source({ hop, address }: { hop: Hop; address: string }) {
  return <code class="source">{shown(address === hop.source ? hop.source : address)}</code>;
}

function Written({ hop }: { hop: Hop }) {
  return <p class="packet"><code class={`owner-${hop.ownerBefore}`}>{shown(hop.source)}</code> <span aria-label="to">→</span> <code>{shown(hop.destination)}</code></p>;
}

function End({ hop }: { hop: Hop }) {
  const { disposition, because, who, decidedBy } = hop.ended!;
  const { word, glyph, means } = DISPOSITIONS[disposition];
  return (
    <div class={`rewrite end end-${disposition}`}>
      <p><span class="glyph" aria-hidden="true">{glyph}</span> <b>{word}</b>: {means}</p>
      <p class="why">{who && <b>{shown(who)}: </b>}{shown(because)}</p>
      <Decided by={decidedBy} />
    </div>
  );
}

export function Decided({ by }: { by?: Decision }) {
  if (!by) return null;
  return <p class="decided">{shown(by.object)}{by.field && <> <code>{shown(by.field)}{by.value ? ` = ${shown(by.value)}` : ""}</code></>}</p>;
}
