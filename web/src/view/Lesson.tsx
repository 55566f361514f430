/** The document's sections as steps, ticked where the cluster shows them to be done. */
import { useState } from "preact/hooks";
import { shown } from "../model/text";
import type { Page } from "../page";
import type { LessonStep, Pressed } from "../values";

export function Lesson({ page }: { page: Page }) {
  if (!page.lesson) return <p class="quiet">…</p>;
  const sections = new Map<string, LessonStep[]>();
  for (const each of page.lesson) sections.set(each.section, [...(sections.get(each.section) ?? []), each]);
  const done = page.lesson.filter((each) => page.world.ticks[each.id] ?? each.ticked).length;
  return (
    <>
      <p><progress value={done} max={page.lesson.length} aria-label="Steps that are done" /> {done} of {page.lesson.length}</p>
      {[...sections].map(([section, steps]) => (
        <section key={section} class="lesson">
          <h2>{section}</h2>
          <p class="quiet">{steps[0]!.about}</p>
          <ol>{steps.map((each) => <Step key={each.id} page={page} step={each} />)}</ol>
        </section>
      ))}
    </>
  );
}

function Step({ page, step }: { page: Page; step: LessonStep }) {
  const [pressed, setPressed] = useState<Pressed | null>(null);
  const [busy, setBusy] = useState(false);
  const ticked = page.world.ticks[step.id] ?? step.ticked;
  const { change } = page.world.capabilities;
  const can = step.press !== "" && (change.can || !step.press.startsWith("kubectl"));
  return (
    <li class={ticked ? "ticked" : ""} data-step={step.id}>
      <p class="title"><span class="tick" role="img" aria-label={ticked ? "done" : "not done yet"}>{ticked ? "✓" : "○"}</span> {step.title}</p>
      {step.command && <code class="command">{shown(step.command)}</code>}
      {step.where && <span class="quiet">on: {step.where} </span>}
      {can && <button disabled={busy} title={shown(step.press)} onClick={async () => { setBusy(true); setPressed(await page.press(step.id)); setBusy(false); }}>{busy ? "…" : "Press"}</button>}
      {step.look && <p class="look">{step.look}</p>}
      {step.note && <p class="quiet">{step.note}</p>}
      {pressed?.output && <pre class={`text ${pressed.done ? "" : "bad"}`} role="status">{pressed.output}</pre>}
    </li>
  );
}
