/** What stands beside the picture: one panel at a time. */
import type { ComponentChildren } from "preact";
import { TABS, type Tab } from "../model/view";
import type { Page } from "../page";
import { History } from "./History";
import { Hops } from "./Hops";
import { Lesson } from "./Lesson";
import { Levers } from "./Levers";
import { MatrixTable } from "./MatrixTable";
import { ProofPanel } from "./ProofPanel";

const TITLES: Record<Tab, string> = {
  hops: "Ways", proof: "Proof", history: "History", levers: "Levers", lesson: "Lesson", matrix: "Matrix", text: "Text",
};

export function Panels({ page }: { page: Page }) {
  const { tab } = page.view;
  const key = (event: KeyboardEvent) => {
    const step = event.key === "ArrowRight" ? 1 : event.key === "ArrowLeft" ? -1 : 0;
    if (!step) return;
    event.preventDefault();
    const next = TABS[(TABS.indexOf(tab) + step + TABS.length) % TABS.length]!;
    page.look({ tab: next }, false);
    document.getElementById(`tab-${next}`)?.focus();
  };
  return (
    <aside class="panels" aria-label="Details">
      <div role="tablist" aria-label="Details" onKeyDown={key}>
        {TABS.map((each) => (
          <button
            key={each} id={`tab-${each}`} role="tab" aria-selected={each === tab} aria-controls="panel" tabIndex={each === tab ? 0 : -1}
            onClick={() => page.look({ tab: each }, false)}
          >{TITLES[each]}</button>
        ))}
      </div>
      <div id="panel" class={`panel ${tab}`} role="tabpanel" aria-labelledby={`tab-${tab}`} tabIndex={0}>{content(page, tab)}</div>
    </aside>
  );
}

function content(page: Page, tab: Tab): ComponentChildren {
  switch (tab) {
    case "hops": return <Hops page={page} />;
    case "proof": return <ProofPanel page={page} />;
    case "history": return <History page={page} />;
    case "levers": return <Levers page={page} />;
    case "lesson": return <Lesson page={page} />;
    case "matrix": return <MatrixTable page={page} />;
    case "text": return page.sides.map((side, index) => <pre key={index} class="text">{side.text}</pre>);
  }
}
