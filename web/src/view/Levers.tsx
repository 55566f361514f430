/** What can be changed in the cluster; each says its command, as it would be typed now. */
import { useEffect, useState } from "preact/hooks";
import { shown } from "../model/text";
import type { Page } from "../page";
import type { Lever, Node, Pulled, Service } from "../values";

export function Levers({ page }: { page: Page }) {
  const { change } = page.world.capabilities;
  const { levers, service } = page;
  if (!levers) return <p class="quiet">…</p>;
  const ofService = levers.filter((each) => each.of !== "node");
  const ofNodes = levers.filter((each) => each.of === "node");
  return (
    <>
      {!change.can && <p class="note">Commands are only shown: {change.why}.</p>}
      <h2>{service ? shown(`Service ${service.namespace}/${service.name}`) : "No Service is looked at"}</h2>
      {service && ofService.map((each) => <One key={`${each.id} ${service.id}`} page={page} lever={each} objects={[service]} can={change.can} />)}
      {ofNodes.length > 0 && <h2>Nodes</h2>}
      {ofNodes.map((each) => <One key={each.id} page={page} lever={each} objects={page.world.nodes} can={change.can} />)}
    </>
  );
}

function One({ page, lever, objects, can }: { page: Page; lever: Lever; objects: (Service | Node)[]; can: boolean }) {
  const [object, setObject] = useState("");
  const chosen = objects.find((each) => each.id === object) ?? objects[0];
  const [value, setValue] = useState(() => lever.choices.find((each) => each !== current(lever, chosen)) ?? "2");
  const [command, setCommand] = useState("");
  const [pulled, setPulled] = useState<Pulled | null>(null);
  const [busy, setBusy] = useState(false);
  useEffect(() => {
    let meant = true;
    if (chosen && value !== "")
      void page.pull(lever.id, chosen.id, value, true).then((found) => {
        if (meant) setCommand(found.command || found.output);
      });
    return () => {
      meant = false;
    };
  }, [lever.id, chosen?.id, value]);
  const go = async () => {
    if (!chosen) return;
    setBusy(true);
    setPulled(await page.pull(lever.id, chosen.id, value, false));
    setBusy(false);
  };
  return (
    <fieldset class="lever" id={`lever-${lever.id}`}>
      <legend>{shown(lever.title)}</legend>
      <div>
        {objects.length > 1 && <select aria-label={`${lever.title}: of which`} value={chosen?.id} onChange={(event) => setObject(event.currentTarget.value)}>{objects.map((each) => <option key={each.id} value={each.id}>{shown(each.name)}</option>)}</select>}
        {lever.choices.length > 0
          ? lever.choices.length > 1 && <select aria-label={`${lever.title}: value`} value={value} onChange={(event) => setValue(event.currentTarget.value)}>{lever.choices.map((each) => <option key={each}>{each}</option>)}</select>
          : <input type="number" min={0} max={100} aria-label={`${lever.title}: how many`} value={value} onInput={(event) => setValue(event.currentTarget.value)} />}
        <button class="do" disabled={!can || !chosen || busy || value === ""} onClick={() => void go()}>{busy ? "…" : "Do it"}</button>
      </div>
      <code class="command">{shown(command || lever.command)}</code>
      {lever.note && <p class="quiet">{shown(lever.note)}</p>}
      {pulled?.output && <pre class={`text ${pulled.done ? "" : "bad"}`} role="status">{pulled.output}</pre>}
    </fieldset>
  );
}

function current(lever: Lever, object: Service | Node | undefined): string {
  if (object?.kind !== "service") return "";
  const values: Record<string, string> = {
    "external-traffic-policy": object.externalTrafficPolicy, "internal-traffic-policy": object.internalTrafficPolicy,
    "preserve-client-ip": String(object.preserveClientIP), "load-balancer-class": object.class || "default",
  };
  return values[lever.id] ?? "";
}
