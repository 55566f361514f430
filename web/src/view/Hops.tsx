/** The ways of the answer, and the hops of one of them. */
import { useState } from "preact/hooks";
import { DISPOSITIONS, summary } from "../model/answer";
import { predicted } from "../model/hops";
import { share, shown } from "../model/text";
import type { Page, Side } from "../page";
import type { Note } from "../values";
import { Decided, HopList } from "./HopList";

const MOST = 6;

export function Hops({ page }: { page: Page }) {
  const [side, setSide] = useState(0);
  const [all, setAll] = useState(false);
  const looked = page.sides[side] ?? page.sides[0];
  if (!looked) return <p class="quiet">Choose a client and an address.</p>;
  const two = page.sides.length > 1;
  return (
    <>
      {two && <Difference page={page} />}
      {two && (
        <div class="switch" role="group" aria-label="Which side">
          {["A", "B"].map((name, index) => <button key={name} aria-pressed={index === side} onClick={() => setSide(index)}>{name}</button>)}
        </div>
      )}
      <Ways page={page} side={looked} mine={side === 0} all={all} more={() => setAll(true)} />
    </>
  );
}

function Difference({ page }: { page: Page }) {
  const text = page.sides[0]?.answer?.summary;
  return text ? <section class="differs"><h2>What the edit changes</h2><pre class="text">{text}</pre></section> : null;
}

function Ways({ page, side, mine, all, more }: { page: Page; side: Side; mine: boolean; all: boolean; more(): void }) {
  const [other, setOther] = useState(0);
  const { way } = side;
  if (!way) return side.text ? <pre class="text">{side.text}</pre> : <p class="quiet">{shown(side.error) || "Nothing is known of it."}</p>;
  const first = summary(way)[0]?.outcomes[0] ?? 0;
  const chosen = mine ? page.view.outcome : other;
  const index = chosen !== null && chosen < way.outcomes.length ? chosen : first;
  const outcome = way.outcomes[index];
  const report = side.edited ? side.answer?.edited?.report : side.answer?.report;
  const choose = (to: number | null) => (mine ? page.look({ outcome: to }, false) : setOther(to ?? 0));
  return (
    <>
      {way.outcomes.length > 1 && (
        <section>
          <h2>{way.outcomes.length} ways</h2>
          <ul class="outcomes">
            {mine && <li><button aria-pressed={chosen === null} onClick={() => choose(null)}>all of them</button></li>}
            {way.outcomes.slice(0, all ? undefined : MOST).map((each, at) => (
              <li key={at}>
                <button aria-pressed={at === chosen} onClick={() => choose(at === chosen && mine ? null : at)}>
                  <span class="part">{share(each.share)}</span>
                  {each.disposition === "delivered"
                    ? <span><code class={`owner-${each.seenAs}`}>{shown(each.source ?? each.sourceNote)}</code> {each.enters && <>by {shown(each.enters)}, </>}at <code>{shown(each.endpoint ?? "an endpoint")}</code></span>
                    : <span class={`end-${each.disposition}`}>{DISPOSITIONS[each.disposition].glyph} {DISPOSITIONS[each.disposition].word}{each.enters && ` at ${shown(each.enters)}`}</span>}
                </button>
              </li>
            ))}
          </ul>
          {!all && way.outcomes.length > MOST && <button class="more" onClick={more}>Show all {way.outcomes.length}</button>}
        </section>
      )}
      {outcome && (
        <section>
          <h2>{way.outcomes.length > 1 ? (chosen === null ? "One of them, hop by hop" : "Hop by hop") : "Hop by hop"}</h2>
          <HopList hops={predicted(way, outcome)} label="Hops" />
          {outcome.forwarded.map((each, at) => (
            <p key={at} class="note">The client’s address can also be read in <code>{shown(each.form)}</code> from {shown(each.by)}{each.address ? <>: <code>{shown(each.address)}</code></> : ""}. {shown(each.sentence ?? "")}</p>
          ))}
          <Notes title="" notes={[...outcome.notes, ...way.notes]} />
        </section>
      )}
      <Notes title="What can be done" notes={report?.advice ?? []} />
      <Notes title="Warnings" notes={report?.warnings ?? []} />
      {report?.unread.length ? (
        <section><h2>Not read</h2><ul class="notes">{report.unread.map((each, at) => <li key={at}>{shown(`${each.what}: ${each.why}; this leaves open ${each.leavesOpen}`)}</li>)}</ul></section>
      ) : null}
    </>
  );
}

function Notes({ title, notes }: { title: string; notes: Note[] }) {
  if (!notes.length) return null;
  return (
    <section>
      {title && <h2>{title}</h2>}
      <ul class="notes">
        {notes.map((each, at) => <li key={at}>{shown(each.sentence)}{each.do && !each.do.startsWith("nothing") && <code class="command">{shown(each.do)}</code>}<Decided by={each.decidedBy} /></li>)}
      </ul>
    </section>
  );
}
