/** The answer, large: the address that the server sees. */
import { DISPOSITIONS, type Seen, spoken, summary } from "../model/answer";
import { count, share, shown } from "../model/text";
import type { Side } from "../page";

const MOST = 6;

export function Verdict({ side, name, choose, outcome }: { side: Side; name: string; choose(outcome: number | null): void; outcome: number | null }) {
  const { way, error } = side;
  if (error) return <div class="verdict failed" role="alert"><p class="lead">{name}</p><p class="big">{shown(error)}</p></div>;
  if (!way) return <div class="verdict"><p class="lead">{name}</p><p class="big quiet">{side.answer ? "No way leads there from this client." : "…"}</p></div>;
  const seen = summary(way);
  const received = seen.some((each) => each.disposition === "delivered");
  return (
    <div class="verdict">
      <p class="lead">{name ? <b>{name} </b> : null}{received ? "the server sees" : seen.every((each) => each.disposition === "unknown") ? "what the server sees can’t be told" : "the server sees nothing"}</p>
      <ul>
        {seen.slice(0, MOST).map((each) => (
          <Line key={each.outcomes[0]} seen={each} alone={seen.length === 1} most={seen.length} chosen={outcome !== null && each.outcomes.includes(outcome)} choose={() => choose(outcome !== null && each.outcomes.includes(outcome) ? null : each.outcomes[0]!)} />
        ))}
      </ul>
      {seen.length > MOST && <p class="quiet">and {count(seen.length - MOST, "other")}, less often: see the ways</p>}
      <p class="hidden" aria-live="polite">{shown(spoken(way))}</p>
    </div>
  );
}

function Line({ seen, alone, most, chosen, choose }: { seen: Seen; alone: boolean; most: number; chosen: boolean; choose(): void }) {
  const delivered = seen.disposition === "delivered";
  const { word, glyph } = DISPOSITIONS[seen.disposition];
  const text = delivered ? shown(seen.address ?? seen.whose) : word;
  return (
    <li class={`${delivered ? `owner-${seen.seenAs}` : `end end-${seen.disposition}`} ${chosen ? "chosen" : ""}`}>
      <button onClick={choose} aria-pressed={chosen} title={alone ? undefined : "Look at this way alone"}>
        {!delivered && <span class="glyph" aria-hidden="true">{glyph}</span>}
        <span class="big" ref={(element) => element?.style.setProperty("--chars", String(Math.max(10, text.length + (delivered ? 0 : 2))))} data-many={most > 2 ? "many" : most > 1 ? "two" : "one"}>{text}</span>
        <span class="whose">
          {!alone && <b class="share">{share(seen.share)} </b>}
          {seen.address || !delivered ? shown(seen.whose) : ""}
        </span>
      </button>
    </li>
  );
}
