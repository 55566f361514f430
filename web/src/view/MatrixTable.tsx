/** Who dials what, and what is seen then; a cell opens its way. */
import { DISPOSITIONS } from "../model/answer";
import { share, shown } from "../model/text";
import type { Page } from "../page";
import type { Cell, Disposition } from "../values";

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
                <th scope="row">{shown(row.service)}<br /><code>{shown(row.address)}:{row.port}</code><br /><span class="quiet">{row.frontend}{row.policy && ` · ${row.policy}`}</span></th>
                {row.cells.map((cell, at) => <td key={at}>{cell ? <Open page={page} cell={cell} about={`${matrix.columns[at]} to ${row.address}`} /> : <span class="quiet">–</span>}</td>)}
              </tr>
            ))}
          </tbody>
        </table>
      </div>
      {matrix.leftOut > 0 && <p class="quiet">{matrix.leftOut} more Services are left out.</p>}
    </>
  );
}

function Open({ page, cell, about }: { page: Page; cell: Cell; about: string }) {
  const { ask } = cell;
  const glyph = cell.disposition === "delivered" ? "" : `${DISPOSITIONS[cell.disposition as Disposition]?.glyph ?? ""} `;
  const content = <>{glyph}{shown(cell.seen)}{cell.share < 0.995 && <small> {share(cell.share)}</small>}</>;
  const kind = cell.disposition === "delivered" ? (cell.seen === "client" ? "owner-client" : "owner-node") : `end-${cell.disposition}`;
  if (!ask) return <span class={kind} title={cell.why}>{content}</span>;
  return (
    <button class={kind} title={shown(cell.why)} aria-label={shown(`${about}: ${cell.seen}`)} onClick={() => page.choose({ from: ask.clients?.[0] ?? "outside", to: ask.target, namespace: ask.namespace ?? "", node: ask.node ?? "" })}>{content}</button>
  );
}
