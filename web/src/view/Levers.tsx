/** What can be changed in the cluster; each says its command. */
import { useState } from "preact/hooks";
import { shown } from "../model/text";
import type { Page } from "../page";
import type { Lever, Pulled } from "../values";

export function Levers({ page }: { page: Page }) {
  const { change } = page.world.capabilities;
  if (!page.levers) return <p class="quiet">…</p>;
  const service = page.service ? `${page.service.namespace}/${page.service.name}` : "";
  return (
    <>
      {!change.can && <p class="note">Commands are only shown: {change.why}.</p>}
      {page.levers.map((each) => <One key={each.id} page={page} lever={each} service={service} can={change.can} />)}
    </>
  );
}

function One({ page, lever, service, can }: { page: Page; lever: Lever; service: string; can: boolean }) {
  const objects = lever.of === "node" ? page.world.nodes.map((each) => each.name) : service ? [service] : [];
  const [object, setObject] = useState(objects[0] ?? "");
  const [value, setValue] = useState(lever.choices[0] ?? "");
  const [pulled, setPulled] = useState<Pulled | null>(null);
  const [busy, setBusy] = useState(false);
  const chosen = objects.includes(object) ? object : objects[0] ?? "";
  const go = async (trying: boolean) => {
    setBusy(true);
    setPulled(await page.pull(lever.id, chosen, value, trying));
    setBusy(false);
  };
  const off = !chosen || busy || (lever.choices.length === 0 && value === "");
  return (
    <fieldset class="lever" id={`lever-${lever.id}`} disabled={!lever.can}>
      <legend>{shown(lever.title)}</legend>
      <div>
        {objects.length > 1
          ? <select aria-label={`${lever.title}: of which`} value={chosen} onChange={(event) => setObject(event.currentTarget.value)}>{objects.map((each) => <option key={each}>{shown(each)}</option>)}</select>
          : <code>{shown(chosen || "no Service is looked at")}</code>}
        {lever.choices.length > 0
          ? lever.choices.length > 1 && <select aria-label={`${lever.title}: value`} value={value} onChange={(event) => setValue(event.currentTarget.value)}>{lever.choices.map((each) => <option key={each}>{each}</option>)}</select>
          : <input type="number" min={0} max={100} aria-label={`${lever.title}: how many`} value={value} onInput={(event) => setValue(event.currentTarget.value)} />}
        <button disabled={off} onClick={() => void go(true)}>Show command</button>
        {can && <button class="do" disabled={off} onClick={() => void go(false)}>{busy ? "…" : "Do it"}</button>}
      </div>
      {(lever.note || lever.why) && <p class="quiet">{shown(lever.why || lever.note)}</p>}
      <code class="command">{shown(pulled?.command || lever.command)}</code>
      {pulled?.output && <pre class={`text ${pulled.done ? "" : "bad"}`} role="status">{pulled.output}</pre>}
    </fieldset>
  );
}
