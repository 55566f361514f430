/** A request that was sent, beside its prediction. */
import { useEffect, useRef, useState } from "preact/hooks";
import { type Hop, host } from "../model/hops";
import type { Compared } from "../model/proof";
import { shown } from "../model/text";
import { fragment } from "../model/view";
import type { Page } from "../page";
import { download, keep } from "../server";
import { HopList } from "./HopList";

export function ProofPanel({ page }: { page: Page }) {
  const { sent, proof } = page;
  const { send } = page.world.capabilities;
  if (!sent || !proof)
    return <p class="quiet">{send.can ? "Send makes one real request, and follows its packets hop by hop, beside what was predicted." : `Nothing can be sent here: ${send.why}.`}</p>;
  const outcome = sent.trace.way.outcomes[0];
  return (
    <>
      <p class={`outcome ${proof.agreed ? "agreed" : "differs"}`} role="status">
        <span aria-hidden="true">{proof.agreed ? "✓" : "✕"}</span> {sent.predicted ? (proof.agreed ? "As predicted" : "Otherwise than predicted") : "Nothing was predicted"}
        <span class="quiet"> {outcome?.disposition === "delivered" ? <>: the server saw <code>{outcome.source && host(outcome.source)}</code></> : `: ${outcome?.disposition}`}</span>
      </p>
      {sent.differences.map((each) => <p key={each} class="difference">{shown(each)}</p>)}
      <Player page={page} />
      <table class="beside">
        <thead><tr><th scope="col">place</th><th scope="col">predicted</th><th scope="col">seen</th></tr></thead>
        <tbody>{proof.rows.map((each, index) => <Row key={index} row={each} />)}</tbody>
      </table>
      <details><summary>There, rule by rule</summary><HopList hops={proof.rows.flatMap((each) => (each.observed ? [each.observed] : []))} label="The request, as it was seen" /></details>
      {proof.back.length > 0 && <details><summary>And back</summary><HopList hops={proof.back} label="The reply, as it was seen" /></details>}
      {sent.trace.answer.body && <details><summary>What the server answered</summary><pre class="text">{shown(sent.trace.answer.body).replaceAll("\ufffd", "\n")}</pre></details>}
      <Take page={page} />
    </>
  );
}

function Row({ row }: { row: Compared }) {
  return (
    <>
      <tr class={row.expected ? "wrong" : ""}>
        <th scope="row">{shown(row.name.replace(/^.*\//, ""))}</th>
        <td><Side hop={row.predicted} network={row.place === "network"} /></td>
        <td><Side hop={row.observed} network={false} /></td>
      </tr>
      {row.expected && <tr class="wrong"><td colSpan={3}><span aria-hidden="true">✕ </span>{shown(row.expected)}</td></tr>}
    </>
  );
}

function Side({ hop, network }: { hop: Hop | undefined; network: boolean }) {
  if (!hop) return <span class="quiet">{network ? "passes" : "–"}</span>;
  return (
    <>
      <code class={`owner-${hop.owner}`}>{shown(host(hop.sourceAfter))}</code>
      {hop.rewrites.map((each, index) => <span key={index} class={`tag ${each.what}`}>{each.what === "source" ? "SNAT" : each.what === "destination" ? "DNAT" : "new"}</span>)}
      {hop.ended && <b class={`end-${hop.ended.disposition}`}> {hop.ended.disposition}</b>}
    </>
  );
}

/** Runs it again, or holds it anywhere. */
function Player({ page }: { page: Page }) {
  const slider = useRef<HTMLInputElement>(null);
  useEffect(() => {
    const show = (seconds: number, of: number) => {
      if (!slider.current) return;
      slider.current.max = String(of);
      if (page.scrub === null) slider.current.value = String(seconds);
    };
    page.onProgress = show;
    show(...page.progressed);
    return () => {
      if (page.onProgress === show) page.onProgress = null;
    };
  }, []);
  return (
    <div class="player">
      <button onClick={() => page.hold(null)} aria-label="Run it again">▶</button>
      <input
        ref={slider} type="range" min={0} max={5} step="any" aria-label="Where the packet is" defaultValue="0"
        onInput={(event) => page.hold(Number(event.currentTarget.value))}
      />
    </div>
  );
}

function Take({ page }: { page: Page }) {
  const [copied, setCopied] = useState("");
  const { sent } = page;
  if (!sent) return null;
  const path = `api/history/${encodeURIComponent(sent.id)}`;
  const name = `wellhead-${sent.id}`;
  const failed = (error: Error) => setCopied(error.message);
  return (
    <p class="take">
      <button onClick={() => void download(`${path}.txt`, `${name}.txt`).catch(failed)}>Table</button>
      <button onClick={() => keep(new Blob([JSON.stringify(sent, null, 2)], { type: "application/json" }), `${name}.json`)}>JSON</button>
      <button onClick={() => void download(`${path}.pcapng`, `${name}.pcapng`).catch(failed)}>pcapng</button>
      <button onClick={() => void copyLink(page).then(setCopied)}>Link to this view</button>
      <span role="status">{copied}</span>
    </p>
  );
}

export async function copyLink(page: Page): Promise<string> {
  try {
    await navigator.clipboard.writeText(`${location.origin}${location.pathname}#${fragment(page.view)}`);
    return "copied";
  } catch {
    return "the address bar has it";
  }
}
