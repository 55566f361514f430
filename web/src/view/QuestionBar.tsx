/** The question: who dials what, and what it is compared with. */
import { clients, named, targets } from "../model/choices";
import type { Question } from "../model/view";
import type { Page } from "../page";
import type { Service } from "../values";
import { Combobox } from "./Combobox";

export function QuestionBar({ page }: { page: Page }) {
  const { view } = page;
  const { send } = page.world.capabilities;
  return (
    <section class="question" aria-label="Question">
      <Choose page={page} question={view.question} side={0} />
      <Compare page={page} />
      <button class="send" disabled={!send.can || page.sending} title={send.can ? "Send one real request, and follow it" : send.why} onClick={() => void page.send()}>
        {page.sending ? "Sending …" : "Send"}
      </button>
      {view.compare?.kind === "other" && (
        <div class="second">
          <span class="side-name">B</span>
          <Choose page={page} question={view.compare.question} side={1} />
        </div>
      )}
      {!send.can && page.world.capabilities.source && <p class="why">Predicts only: {send.why}</p>}
      {page.sendError && <p class="why bad" role="alert">{page.sendError}</p>}
    </section>
  );
}

function Choose({ page, question, side }: { page: Page; question: Question; side: 0 | 1 }) {
  const { world } = page;
  return (
    <>
      <Combobox
        label="From" value={named(clients(world), question, "from")} choices={() => clients(world)}
        choose={(choice) => page.choose(choice.value, side)} typed={(from) => page.choose({ from }, side)}
      />
      <Combobox
        label="to" value={named(targets(world), question, "to")} choices={() => targets(world)}
        choose={(choice) => page.choose(choice.value, side)} typed={(to) => page.choose({ to, namespace: question.namespace || "default" }, side)}
      />
    </>
  );
}

function Compare({ page }: { page: Page }) {
  const { compare, question } = page.view;
  const options = edits(page.service, page);
  const value = compare === null ? "" : compare.kind === "other" ? "other" : Object.entries(compare.changes).map((each) => each.join(":")).join(",");
  const known = value === "" || value === "other" || options.some((each) => each.value === value);
  return (
    <div class="compare">
      <label for="compare">beside</label>
      <select
        id="compare" value={value}
        onChange={({ currentTarget }) => {
          const chosen = currentTarget.value;
          if (chosen === "") page.look({ compare: null, outcome: null });
          else if (chosen === "other") page.look({ compare: { kind: "other", question: { ...question } }, outcome: null });
          else page.look({ compare: { kind: "edit", changes: { [chosen.slice(0, chosen.indexOf(":"))]: chosen.slice(chosen.indexOf(":") + 1) } }, outcome: null });
        }}
      >
        <option value="">nothing else</option>
        {options.length > 0 && (
          <optgroup label="the Service, edited">
            {options.map((each) => <option key={each.value} value={each.value}>{each.label}</option>)}
          </optgroup>
        )}
        {!known && <option value={value}>{value.replaceAll(":", " ")}</option>}
        <option value="other">another client or address</option>
      </select>
    </div>
  );
}

function edits(service: Service | undefined, page: Page): { value: string; label: string }[] {
  if (!service || service.type === "ExternalName") return [];
  const found: { value: string; label: string }[] = [];
  const offer = (field: string, value: string, label = `${field}: ${value}`) => found.push({ value: `${field}:${value}`, label });
  if (service.type !== "ClusterIP") offer("externalTrafficPolicy", service.externalTrafficPolicy === "Local" ? "Cluster" : "Local");
  offer("internalTrafficPolicy", service.internalTrafficPolicy === "Local" ? "Cluster" : "Local");
  offer("preserveClientIP", String(!service.preserveClientIP), `preserve-client-ip ${service.preserveClientIP ? "off" : "on"}`);
  if (service.type === "LoadBalancer") {
    const classes = new Set(["wellhead.dev/forwarder", "wellhead.dev/proxy"]);
    for (const each of page.world.entities.values()) if (each.kind === "balancer" && each.class) classes.add(each.class);
    classes.delete(service.class || "wellhead.dev/forwarder");
    for (const each of classes) offer("loadBalancerClass", each);
  }
  return found;
}
