/** Requests that were sent, the newest first. */
import { DISPOSITIONS } from "../model/answer";
import { shown } from "../model/text";
import type { Page } from "../page";
import type { Disposition } from "../values";

export function History({ page }: { page: Page }) {
  if (!page.history.length) return <p class="quiet">Nothing was sent yet.</p>;
  return (
    <ul class="history">
      {page.history.map((each) => (
        <li key={each.id}>
          <button aria-pressed={page.sent?.id === each.id} onClick={() => void page.open(each.id)}>
            <span class={`mark ${each.agreed ? "agreed" : "differs"}`} title={each.agreed ? "as predicted" : "otherwise than predicted"}>{each.agreed ? "✓" : "✕"}</span>
            <span><b>{shown(each.question.client)}</b> → <code>{shown(each.question.target)}</code><br />
              <span class={`end-${each.disposition}`}>{DISPOSITIONS[each.disposition as Disposition]?.glyph} </span>{shown(each.summary)}</span>
            <time dateTime={each.at}>{new Date(each.at).toLocaleTimeString()}</time>
          </button>
        </li>
      ))}
    </ul>
  );
}
