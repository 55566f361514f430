/** The whole page. */
import { useEffect, useState } from "preact/hooks";
import { shown } from "../model/text";
import type { Page } from "../page";
import { Panels } from "./Panels";
import { Picture } from "./Picture";
import { QuestionBar } from "./QuestionBar";
import { Verdict } from "./Verdict";

export function App({ page }: { page: Page }) {
  const [version, again] = useState(0);
  useEffect(() => page.subscribe(() => again((each) => each + 1)), []);
  const { world, view, sides } = page;
  const two = sides.length > 1;
  return (
    <>
      <a class="skip" href="#picture" onClick={(event) => { event.preventDefault(); document.querySelector<SVGElement>(".picture [tabindex='0']")?.focus(); }}>To the picture</a>
      <header>
        <h1>wellhead</h1>
        <p class="about">which source IP does the server see, and why?</p>
        <p class={`state ${world.state.connected ? "connected" : "lost"}`} role="status">
          <span aria-hidden="true">{world.state.connected ? "●" : "○"}</span> {shown(world.capabilities.source)}{!world.state.connected && ` ${world.capabilities.source ? "· " : ""}${world.state.why || "not connected"}`}
        </p>
      </header>
      <QuestionBar page={page} />
      <main class={`${two ? "two" : "one"} ${view.tab === "matrix" || view.tab === "text" ? "wide" : ""}`}>
        <div class="sides">
          {sides.map((side, index) => (
            <section key={index} class="side" aria-label={two ? `Choice ${"AB"[index]}` : "Answer"}>
              <Verdict side={side} name={two ? `${"AB"[index]}: ${nameOf(page, index)}` : ""} outcome={index === 0 ? view.outcome : null} choose={(outcome) => (index === 0 ? page.look({ outcome }, false) : undefined)} />
              <Picture page={page} side={side} index={index as 0 | 1} version={world.version} />
              <pre class="hidden" id={`text-${index}`}>{side.text}</pre>
            </section>
          ))}
          {!sides.length && <p class="waiting quiet">{version === 0 || !world.state.connected ? "…" : "Choose a client and an address."}</p>}
        </div>
        <Panels page={page} />
      </main>
    </>
  );
}

function nameOf(page: Page, index: number): string {
  const { compare } = page.view;
  if (index === 0) return compare?.kind === "edit" ? "as it is:" : "";
  if (compare?.kind === "edit") return `${Object.entries(compare.changes).map(([key, value]) => `${key} ${value}`).join(", ")}:`;
  return "";
}
