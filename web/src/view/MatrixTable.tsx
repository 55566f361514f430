/** Who dials what, and what is seen then; a cell opens its way. */
import { DISPOSITIONS } from "../model/answer";
import { at } from "../model/hops";
import { count, shown } from "../model/text";
import type { Page } from "../page";
import type { Cell } from "../values";

export function MatrixTable({ page }: { page: Page }) {
  const { matrix } = page;
  if (!matrix) return <p class="quiet">…</p>;
  return (
    <>
      <div class="scroll">
        <table class="matrix">
          <thead><tr><th scope="col">address</th>{matrix.columns.map((each) => <th key={each} scope="col">{shown(each)}</th>)}</tr></thead>
          <tbody>
            {matrix.rows.map((row, index) => (
              <tr key={index}>
                <th scope="row">{matrix.rows[index - 1]?.service !== row.service && <b>{shown(row.service)}</b>}<code>{shown(at(row.address, row.port))}</code><span class="quiet">{[row.frontend, row.where, row.policy].filter(Boolean).join(" · ")}</span></th>
                {row.cells.map((cell, column) => <td key={column}>{cell ? <Open page={page} cell={cell} about={`${matrix.columns[column]} to ${row.address}`} /> : <span class="quiet">–</span>}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {matrix.leftOut.length > 0 && <p class="quiet">{count(matrix.leftOut.length, "Service is", "Services are")} left out.</p>}
    </>
  );
}

function Open({ page, cell, about }: { page: Page; cell: Cell; about: string }) {
  const { ask, seen, dispositions } = cell;
  const ended = dispositions.find((each) => each !== "delivered");
  const glyph = dispositions.length === 1 && ended ? `${DISPOSITIONS[ended].glyph} ` : "";
  const kind = ended && dispositions.length === 1 ? `end-${ended}` : seen === "client" ? "owner-client" : "owner-node";
  return (
    <button
      class={kind} aria-label={shown(`${about}: ${seen}`)}
      onClick={() => page.choose({ from: ask.clients?.[0] ?? "outside", to: ask.target, namespace: ask.namespace ?? "", node: ask.node ?? "" })}
    >{glyph}{shown(seen)}</button>
  );
}
