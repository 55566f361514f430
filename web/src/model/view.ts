/** What is looked at, and how a link says so: the fragment of the address, which no server gets. */

export const TABS = ["hops", "proof", "history", "levers", "lesson", "matrix", "text"] as const;
export type Tab = (typeof TABS)[number];

export interface Question { from: string; to: string; namespace: string; node: string }

export type Comparison =
  | { kind: "edit"; changes: Record<string, string> }
  | { kind: "other"; question: Question };

export interface View {
  question: Question;
  compare: Comparison | null;
  /** The outcome that is looked at; null: all. */
  outcome: number | null;
  tab: Tab;
  open: string[];
  /** A request of the history. */
  sent: string;
}

export const NOTHING: View = {
  question: { from: "", to: "", namespace: "", node: "" }, compare: null, outcome: null, tab: "hops", open: [], sent: "",
};

/** `from=outside&to=svc%2Fweb&ns=shop&edit=externalTrafficPolicy%3ALocal`. The same for the same view. */
export function fragment(view: View): string {
  const found = new URLSearchParams();
  question(found, view.question, "");
  if (view.compare?.kind === "edit")
    for (const [key, value] of Object.entries(view.compare.changes)) found.append("edit", `${key}:${value}`);
  if (view.compare?.kind === "other") question(found, view.compare.question, "b.");
  if (view.outcome !== null) found.set("way", String(view.outcome));
  if (view.tab !== "hops") found.set("tab", view.tab);
  for (const each of view.open) found.append("open", each);
  if (view.sent) found.set("sent", view.sent);
  return found.toString();
}

function question(into: URLSearchParams, { from, to, namespace, node }: Question, prefix: string): void {
  if (from) into.set(`${prefix}from`, from);
  if (to) into.set(`${prefix}to`, to);
  if (namespace) into.set(`${prefix}ns`, namespace);
  if (node) into.set(`${prefix}node`, node);
}

/** What a fragment says; what it can't mean is left out. */
export function view(text: string): View {
  const found = new URLSearchParams(text.replace(/^#/, ""));
  const read = (prefix: string): Question => ({
    from: found.get(`${prefix}from`) ?? "", to: found.get(`${prefix}to`) ?? "",
    namespace: found.get(`${prefix}ns`) ?? "", node: found.get(`${prefix}node`) ?? "",
  });
  const changes: Record<string, string> = {};
  for (const each of found.getAll("edit")) {
    const colon = each.indexOf(":");
    if (colon > 0) changes[each.slice(0, colon)] = each.slice(colon + 1);
  }
  const other = read("b.");
  const way = found.get("way");
  const tab = found.get("tab") as Tab;
  return {
    question: read(""),
    compare: Object.keys(changes).length ? { kind: "edit", changes }
      : other.to || other.from ? { kind: "other", question: other } : null,
    outcome: way !== null && /^\d+$/.test(way) ? Number(way) : null,
    tab: TABS.includes(tab) ? tab : "hops",
    open: found.getAll("open"),
    sent: found.get("sent") ?? "",
  };
}

/** The token of a link, and the link without it. */
export function token(text: string): { token: string | null; rest: string } {
  const found = new URLSearchParams(text.replace(/^#/, ""));
  const given = found.get("token");
  found.delete("token");
  return { token: given, rest: found.toString() };
}
