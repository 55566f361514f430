/** The picture: cards, and the ways between them; one stop for the tab key, arrow keys inside. */
import { useEffect, useLayoutEffect, useMemo, useRef, useState } from "preact/hooks";
import { DISPOSITIONS, spoken } from "../model/answer";
import { addressesOf, type Card, draw } from "../model/drawing";
import { type Box, layout, type Layout, neighbour, path, type Run } from "../model/layout";
import { share, shown } from "../model/text";
import type { Page, Side } from "../page";
import type { Service } from "../values";
import { measure } from "./measuring";
import { Runner } from "./Runner";

interface Props { page: Page; side: Side; index: 0 | 1; version: number }

export function Picture({ page, side, index, version }: Props) {
  const frame = useRef<HTMLDivElement>(null);
  const [width, setWidth] = useState(0);
  const [focus, setFocus] = useState("client");
  const [menu, setMenu] = useState("");
  const { world, view } = page;
  useLayoutEffect(() => {
    const element = frame.current!;
    const fit = () => setWidth(Math.max(280, Math.floor(element.clientWidth / scale())));
    fit();
    const observer = new ResizeObserver(fit);
    observer.observe(element);
    return () => observer.disconnect();
  }, []);

  const outcome = index === 0 ? view.outcome : null;
  const service = edited(page.serviceOf(side), side, page);
  const drawing = useMemo(
    () => draw(world, { client: side.question.from, way: side.way, service, outcome, open: new Set(view.open) }), [version, side.way, outcome, view.open],
  );
  const placed = useMemo(() => (width ? layout(drawing, width, measure) : null), [drawing, width]);

  useEffect(() => {
    if (placed?.runs.length && !performance.getEntriesByName("picture").length) performance.mark("picture");
  }, [placed]);

  const press = (card: Card) => {
    if (card.fold !== undefined) {
      const open = card.fold === "" ? view.open.filter((each) => !each.startsWith("fold/"))
        : view.open.includes(card.fold) ? view.open.filter((each) => each !== card.fold) : [...view.open, card.fold];
      page.look({ open });
    } else setMenu(menu === card.id ? "" : card.id);
  };
  const key = (event: KeyboardEvent) => {
    const card = placed?.boxes.get(focus)?.card;
    if (event.key.startsWith("Arrow") || event.key === "Home") {
      const next = placed && neighbour(placed.boxes, focus, event.key);
      if (next) setFocus(next);
      if (next) frame.current?.querySelector<SVGGElement>(`[data-id="${CSS.escape(next)}"]`)?.focus();
    } else if ((event.key === "Enter" || event.key === " ") && card) press(card);
    else if (event.key === "Escape") setMenu("");
    else return;
    event.preventDefault();
  };
  const roving = placed?.boxes.has(focus) ? focus : "client";
  const opened = placed?.boxes.get(menu);
  const caption = side.way ? shown(spoken(side.way)) : "No way is known.";
  const rem = scale();
  return (
    <div class="picture" ref={frame}>
      {placed && (
        <svg
          width={placed.width * rem} height={placed.height * rem} viewBox={`0 0 ${placed.width} ${placed.height}`}
          role="group" aria-label={`Picture. ${caption}`} aria-describedby={`text-${index}`} onKeyDown={key}
        >
          {placed.captions.map((each) => <text key={each.text} class="caption" x={each.x} y={12}>{each.text}</text>)}
          <Ways runs={placed.runs} />
          {[...placed.boxes.values()].map((each) => (
            <CardView
              key={each.card.id} box={each} tabbable={roving === each.card.id} fresh={each.card.changed > 0 && each.card.changed >= world.version}
              wrong={wrongAt(page, index, each.card)} press={press} focus={setFocus} choose={(to) => page.choose({ to, namespace: service?.namespace ?? "" }, index)}
            />
          ))}
          {index === 0 && page.sent && <Runner key={page.runs} page={page} sent={page.sent} layout={placed} />}
        </svg>
      )}
      {opened && <Menu page={page} box={opened} side={side} index={index} scale={rem} close={(again) => { setMenu(""); if (again) frame.current?.querySelector<SVGGElement>(`[data-id="${CSS.escape(opened.card.id)}"]`)?.focus(); }} />}
    </div>
  );
}

/** As it would be. */
function edited(service: Service | undefined, side: Side, page: Page): Service | undefined {
  const { compare } = page.view;
  if (!service || !side.edited || compare?.kind !== "edit") return service;
  const { preserveClientIP, loadBalancerClass, ...changes } = compare.changes;
  return {
    ...service, ...changes, class: loadBalancerClass ?? service.class,
    preserveClientIP: preserveClientIP === undefined ? service.preserveClientIP : preserveClientIP === "true",
  };
}

/** The picture grows with the page's letters. */
function scale(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize) / 16 || 1;
}

function wrongAt(page: Page, index: number, card: Card): string {
  return index === 0 && page.wrong && page.wrong.place === card.id ? page.wrong.expected : "";
}

function Ways({ runs }: { runs: Run[] }) {
  return (
    <g class="ways" aria-hidden="true">
      {runs.map(({ edge, curve, width }) => {
        const end = edge.ended;
        const { x, y } = curve.at(-1)!;
        const sideways = x < curve.at(-2)!.x; // into the right side of a node
        return (
          <g key={`${edge.from}|${edge.to}|${edge.owner}|${end ?? ""}`} class={`way owner-${edge.owner} ${end ? `end-${end}` : ""}`} data-from={edge.from} data-to={edge.to}>
            <path d={path(curve)} stroke-width={width} class="line"><title>{share(edge.share)}</title></path>
            {end ? <text class="glyph" x={x - 1} y={y + 6}>{DISPOSITIONS[end].glyph}</text>
              : <path class="head" d={sideways ? `M${x - 8},${y}l9,-5v10z` : `M${x + 8},${y}l-9,-5v10z`} />}
          </g>
        );
      })}
    </g>
  );
}

interface CardProps {
  box: Box; tabbable: boolean; fresh: boolean; wrong: string;
  press(card: Card): void; focus(id: string): void; choose(to: string): void;
}

function CardView({ box, tabbable, fresh, wrong, press, focus, choose }: CardProps) {
  const { card, x, y, width, height, title, rows } = box;
  const group = useRef<SVGGElement>(null);
  useEffect(() => {
    if (!fresh || !group.current) return;
    group.current.classList.remove("fresh");
    void group.current.getBoundingClientRect();
    group.current.classList.add("fresh");
  }, [card.changed]);
  return (
    <g
      ref={group} class={`card ${card.kind} ${card.on ? "on" : "off"} ${wrong ? "wrong" : ""}`} transform={`translate(${x},${y})`} data-id={card.id}
      role="button" tabIndex={tabbable ? 0 : -1} aria-label={shown(wrong ? `${card.label}. Otherwise than predicted: ${wrong}` : card.label)}
      onClick={() => { focus(card.id); press(card); }} onFocus={() => focus(card.id)}
    >
      <title>{shown([card.title, ...card.lines.map((each) => `${each.tag ? `${each.tag} ` : ""}${each.text}`)].join("\n"))}</title>
      {card.kind === "fold" && <><rect class="behind" x={6} y={6} width={width} height={height} rx={8} /><rect class="behind" x={3} y={3} width={width} height={height} rx={8} /></>}
      <rect class="body" width={width} height={height} rx={8} />
      {title.map((each, index) => <text key={index} class="title" x={11} y={25 + index * 19}>{each}</text>)}
      {card.corner && <text class="corner" x={width - 11} y={25}>{card.corner}</text>}
      {rows.map((row, index) => (
        <g key={index} class={`row tone-${row.tone} ${row.to ? "choice" : ""}`} onClick={row.to ? (event) => { event.stopPropagation(); choose(row.to!); } : undefined}>
          {row.tag && <><rect class="tag" x={11} y={row.y - 11.5} width={row.tagWidth - 6} height={15} rx={3} /><text class="tag" x={11 + (row.tagWidth - 6) / 2} y={row.y}>{row.tag}</text></>}
          <text class={row.font} x={row.x} y={row.y}>{row.text}</text>
        </g>
      ))}
    </g>
  );
}

interface MenuProps { page: Page; box: Box; side: Side; index: 0 | 1; scale: number; close(again: boolean): void }

/** What can be done with a card: ask from there, or for one of its addresses. */
function Menu({ page, box, side, index, scale: rem, close }: MenuProps) {
  const { card } = box;
  const list = useRef<HTMLDivElement>(null);
  useEffect(() => {
    list.current?.querySelector("button")?.focus();
    list.current?.scrollIntoView({ block: "nearest" });
  }, []);
  const service = page.serviceOf(side);
  const act = (question: Parameters<Page["choose"]>[0]) => {
    close(true);
    page.choose(question, index);
  };
  const offers: { text: string; do(): void }[] = [];
  if (card.id === "client") {
    for (const each of page.world.clients) offers.push({ text: `Dial from ${each.name}`, do: () => act({ from: each.asks }) });
    offers.push({ text: "Dial from any address outside", do: () => act({ from: "outside" }) });
  } else if (card.client) offers.push({ text: "Dial from here", do: () => act({ from: card.client! }) });
  if (card.id === "address" && service) {
    for (const each of addressesOf(page.world, service).slice(0, 14))
      offers.push({ text: `Dial ${each.to} (${each.where})`, do: () => act({ to: each.to, namespace: service.namespace }) });
  } else if (card.to && card.id !== "address") offers.push({ text: `Dial ${card.to}`, do: () => act({ to: card.to!, namespace: service?.namespace ?? "" }) });
  const key = (event: KeyboardEvent) => {
    const buttons = [...list.current!.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement as HTMLButtonElement);
    if (event.key === "Escape") close(true);
    else if (event.key === "ArrowDown") buttons[(at + 1) % buttons.length]?.focus();
    else if (event.key === "ArrowUp") buttons[(at + buttons.length - 1) % buttons.length]?.focus();
    else return;
    event.preventDefault();
    event.stopPropagation();
  };
  const below = box.y + Math.min(box.height, 64);
  return (
    <div
      class="menu" role="menu" aria-label={shown(card.title)} ref={(element) => {
        list.current = element;
        if (!element) return;
        element.style.top = `${below * rem}px`;
        element.style.left = `${Math.max(0, Math.min(box.x * rem, (element.parentElement?.clientWidth ?? 400) - element.offsetWidth - 4))}px`;
      }} onKeyDown={key}
      onBlur={(event) => { if (!list.current?.contains(event.relatedTarget as Element | null)) close(false); }}
    >
      {offers.map((each) => <button key={each.text} role="menuitem" onClick={each.do}>{shown(each.text)}</button>)}
      {!offers.length && <button role="menuitem" onClick={() => close(true)}>Nothing can be dialled here</button>}
    </div>
  );
}

export type { Layout };
