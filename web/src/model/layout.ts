/** Where the cards stand and how the ways run between them. Dagre spaces the columns; their order is ours, by name. */
import { Graph, layout as arrange } from "@dagrejs/dagre";
import type { Card, CardLine, Drawing, Edge } from "./drawing";
import type { Font, Measure } from "./text";
import { wrap } from "./text";

export interface Point { x: number; y: number }
/** Cubic curves, one behind another: a point, and three more for each. */
export type Curve = Point[];

export interface Row {
  text: string;
  font: Font;
  tone: string;
  tag?: string;
  tagWidth: number;
  x: number;
  y: number;
  to?: string;
}

export interface Box extends Point {
  card: Card;
  width: number;
  height: number;
  title: string[];
  rows: Row[];
}

export interface Run {
  edge: Edge;
  curve: Curve;
  width: number;
}

export interface Layout {
  /** What the columns are, where there are columns. */
  captions: { text: string; x: number }[];
  width: number;
  height: number;
  boxes: Map<string, Box>;
  runs: Run[];
  stacked: boolean;
}

const CAPTIONS = ["who asks", "what is dialled", "nodes", "endpoints"];
const CAPTION = 26;
const PADDING = 11;
const TITLE = 19;
const LINE = 17;
const GAP = 16;
/** Narrower than this, client and address stand above the nodes. */
export const STACKED = 700;

export function layout(drawing: Drawing, width: number, measure: Measure): Layout {
  const stacked = width < STACKED;
  const columns = stacked ? stackedColumns(width) : wideColumns(width);
  const boxes = new Map<string, Box>();
  for (const card of drawing.cards) {
    const column = columns[card.column]!;
    boxes.set(card.id, box(card, column.x, column.width, measure));
  }
  const height = stacked ? stack(boxes) : space(boxes);
  const outside = columns[3]!.x;
  const captions = stacked ? [] : CAPTIONS.flatMap((text, index) =>
    drawing.cards.some((each) => each.column === index) ? [{ text, x: columns[index]!.x }] : []);
  return { captions, width, height, boxes, runs: runs(drawing.edges, boxes, stacked, outside), stacked };
}

/** Widths by what has to be read: a client is short, rewrites are long. */
const PARTS = [0.78, 1.02, 1.14, 1.06];
const WIDEST = [230, 290, 330, 330];
/** Most room is left between nodes and endpoints: there, ways cross from node to node. */
const GAPS = [0.75, 0.9, 1.35];

function wideColumns(width: number): { x: number; width: number }[] {
  const room = width - 4;
  const gap = Math.min(130, Math.max(34, 34 + (room - STACKED) * 0.09));
  const part = (room - 3 * gap) / 4;
  const widths = PARTS.map((each, index) => Math.min(WIDEST[index]!, each * part));
  const spare = Math.min(110, (room - 3 * gap - widths.reduce((a, b) => a + b, 0)) / 3);
  let x = 2;
  return widths.map((each, index) => {
    const column = { x, width: each };
    x += each + (gap + spare) * (GAPS[index] ?? 0);
    return column;
  });
}

function stackedColumns(width: number): { x: number; width: number }[] {
  const left = 22; // where the ways run down
  const gap = Math.max(30, Math.min(80, width * 0.1));
  const above = width - gap - 4;
  const card = (width - left - gap - 4) / 2;
  const first = Math.max(116, above * 0.36);
  return [
    { x: 2, width: first }, { x: 2 + first + gap, width: above - first },
    { x: left, width: card }, { x: left + card + gap, width: card },
  ];
}

function box(card: Card, x: number, width: number, measure: Measure): Box {
  const inside = width - 2 * PADDING;
  const corner = card.corner ? measure(card.corner, "text") + 8 : 0;
  const title = wrap(card.title, "strong", inside - corner, 4, measure);
  const rows: Row[] = [];
  let y = PADDING + title.length * TITLE + 2;
  for (const line of card.lines) y = add(rows, line, y, inside, measure);
  return { card, x, y: 0, width, height: Math.max(y + PADDING - 6, 42), title, rows };
}

function add(rows: Row[], line: CardLine, y: number, inside: number, measure: Measure): number {
  const tagWidth = line.tag ? measure(line.tag, "text") * 0.9 + 13 : 0;
  // What is coloured as somebody's address is bold.
  const font = line.font === "text" && !["plain", "quiet", "good", "bad"].includes(line.tone) ? "strong" : line.font;
  const most = line.lines ?? 1;
  const texts = wrap(line.text, font, inside - tagWidth, most, measure);
  // What doesn't fit beside its tag stands below it, where it has the whole width.
  const below = tagWidth > 0 && texts.length > 1 && most > 1;
  if (below) {
    texts.splice(0, texts.length, "", ...wrap(line.text, font, inside, most, measure));
  }
  texts.forEach((text, index) => {
    rows.push({
      text, font: line.font, tone: line.tone, tag: index ? undefined : line.tag, tagWidth: index ? 0 : tagWidth,
      x: below ? PADDING : PADDING + tagWidth, y: y + 12, to: line.to,
    });
    y += LINE;
  });
  return y + (below ? 1 : 0);
}

/** Columns beside one another; dagre puts each beside what it leads to. Gives the height. */
function space(boxes: Map<string, Box>): number {
  const graph = new Graph();
  graph.setGraph({ rankdir: "LR", nodesep: GAP, ranksep: 10 });
  graph.setDefaultEdgeLabel(() => ({}));
  const all = [...boxes.values()];
  for (const each of all) graph.setNode(each.card.id, { width: each.width, height: each.height });
  const nodes = all.filter((each) => each.card.column === 2);
  const has = (id: string) => boxes.has(id);
  if (has("address")) graph.setEdge("client", "address");
  const before = has("address") ? "address" : "client";
  for (const each of nodes) graph.setEdge(before, each.card.id);
  for (const each of all) {
    if (each.card.column !== 3) continue;
    if (each.card.home && has(each.card.home)) graph.setEdge(each.card.home, each.card.id);
    else graph.setEdge(before, each.card.id, { minlen: 2 });
  }
  arrange(graph, { disableOptimalOrderHeuristic: true });
  for (const each of all) each.y = graph.node(each.card.id).y - each.height / 2;
  for (const column of [0, 1, 2, 3]) apart(all.filter((each) => each.card.column === column));
  const top = Math.min(...all.map((each) => each.y));
  let bottom = 0;
  for (const each of all) {
    each.y = Math.round(each.y - top + CAPTION);
    bottom = Math.max(bottom, each.y + each.height);
  }
  // Who asks, and what is asked for, are seen without scrolling, however many nodes there are.
  if (bottom > 900)
    for (const each of all) if (each.card.column < 2) each.y = Math.min(each.y, 3 * CAPTION);
  return bottom + 2;
}

/** In the order in which they were named, and never one over the other. */
function apart(column: Box[]): void {
  let free = Number.NEGATIVE_INFINITY;
  const sorted = [...column].map((each) => each.y + each.height / 2).sort((a, b) => a - b);
  column.forEach((each, index) => {
    each.y = Math.max(free, sorted[index]! - each.height / 2);
    free = each.y + each.height + GAP;
  });
}

/** Client and address above; below, each node beside its pods. */
function stack(boxes: Map<string, Box>): number {
  const all = [...boxes.values()];
  let y = 2;
  for (const each of all.filter((box) => box.card.column < 2)) each.y = y;
  y += Math.max(...all.filter((box) => box.card.column < 2).map((each) => each.height)) + 2 * GAP;
  for (const node of all.filter((each) => each.card.column === 2)) {
    const pods = all.filter((each) => each.card.column === 3 && each.card.home === node.card.id);
    node.y = y;
    let below = y;
    for (const pod of pods) {
      pod.y = below;
      below += pod.height + GAP;
    }
    y = Math.max(y + node.height + GAP, below);
  }
  for (const each of all.filter((box) => box.card.column === 3 && !boxes.has(box.card.home ?? ""))) {
    each.y = y;
    y += each.height + GAP;
  }
  return y - GAP + 2;
}

interface Attached { edge: Edge; other: number }

/** What comes and goes at a card is spread over its sides, in the order of where it leads. */
function runs(edges: Edge[], boxes: Map<string, Box>, stacked: boolean, outside: number): Run[] {
  const drawn = edges.filter((each) => boxes.has(each.from) && boxes.has(each.to));
  const sides = new Map<string, Attached[]>();
  const attach = (side: string, edge: Edge, to: Box) => {
    const found = sides.get(side) ?? [];
    found.push({ edge, other: to.y + to.height / 2 });
    sides.set(side, found);
  };
  const among = (edge: Edge) => boxes.get(edge.from)!.card.column === boxes.get(edge.to)!.card.column;
  for (const edge of drawn) {
    attach(`${edge.from} right`, edge, boxes.get(edge.to)!);
    attach(`${edge.to} ${among(edge) ? "right" : "left"}`, edge, boxes.get(edge.from)!);
  }
  for (const each of sides.values()) each.sort((a, b) => a.other - b.other);
  const place = (side: string, edge: Edge, box: Box) => {
    const all = sides.get(side)!;
    return spread(box, all.findIndex((each) => each.edge === edge), all.length);
  };
  return drawn.map((edge) => {
    const [from, to] = [boxes.get(edge.from)!, boxes.get(edge.to)!];
    const leaves = place(`${edge.from} right`, edge, from);
    const enters = place(`${edge.to} ${among(edge) ? "right" : "left"}`, edge, to);
    const width = 1.5 + 4.5 * Math.min(1, edge.share);
    const busBottom = Math.max(...[...boxes.values()].filter((each) => each.card.column < 2).map((each) => each.y + each.height));
    return { edge, width, curve: curve(from, to, leaves, enters, stacked, outside, busBottom) };
  });
}

function spread(box: Box, index: number, many: number): number {
  const room = Math.min(box.height - 20, 18 * (many - 1));
  return box.y + box.height / 2 + (many > 1 ? (index / (many - 1) - 0.5) * room : 0);
}

const HEAD = 9; // of an arrow

function curve(from: Box, to: Box, leaves: number, enters: number, stacked: boolean, outside: number, row: number): Curve {
  const right = from.x + from.width;
  if (from.card.column === to.card.column) {
    // From node to node: an arc between nodes and pods.
    const bulge = Math.min((outside - right) * 0.72, 20 + Math.abs(enters - leaves) * 0.09);
    return [
      { x: right, y: leaves }, { x: right + bulge * 1.33, y: leaves }, { x: right + bulge * 1.33, y: enters },
      { x: to.x + to.width + HEAD, y: enters },
    ];
  }
  if (stacked && from.card.column < 2 && to.card.column >= 2) {
    // Down the left side, past the nodes above.
    const x = from.x + 24;
    const across = row + GAP;
    return rounded([
      { x, y: from.y + from.height }, { x, y: across }, { x: 6, y: across }, { x: 6, y: enters }, { x: to.x - HEAD, y: enters },
    ], 12);
  }
  const end = { x: to.x - HEAD, y: enters };
  const pull = Math.max(14, (end.x - right) * 0.5);
  return [{ x: right, y: leaves }, { x: right + pull, y: leaves }, { x: end.x - pull, y: enters }, end];
}

/** A broken line with round corners. */
function rounded(points: Point[], radius: number): Curve {
  const found: Curve = [points[0]!];
  const straight = (to: Point) => {
    const from = found.at(-1)!;
    found.push(towards(from, to, 1 / 3), towards(from, to, 2 / 3), to);
  };
  for (let i = 1; i < points.length; i++) {
    const [corner, next] = [points[i]!, points[i + 1]];
    if (!next) {
      straight(corner);
      break;
    }
    const before = found.at(-1)!;
    const bend = Math.min(radius, distance(before, corner) / 2, distance(corner, next) / 2);
    straight(towards(corner, before, bend / (distance(before, corner) || 1)));
    const after = towards(corner, next, bend / (distance(corner, next) || 1));
    found.push(towards(found.at(-1)!, corner, 0.55), towards(after, corner, 0.55), after);
  }
  return found;
}

const distance = (a: Point, b: Point) => Math.hypot(a.x - b.x, a.y - b.y);
const towards = (a: Point, b: Point, part: number) => ({ x: a.x + (b.x - a.x) * part, y: a.y + (b.y - a.y) * part });

/** As an SVG path has it. */
export function path(curve: Curve): string {
  const at = ({ x, y }: Point) => `${round(x)},${round(y)}`;
  let text = `M${at(curve[0]!)}`;
  for (let i = 1; i + 2 < curve.length; i += 3) text += `C${at(curve[i]!)} ${at(curve[i + 1]!)} ${at(curve[i + 2]!)}`;
  return text;
}

const round = (value: number) => Math.round(value * 10) / 10;

/** A point of it, from 0 to 1; as long in time as in space. */
export function along(curve: Curve, part: number): Point {
  const lengths: number[] = [];
  for (let i = 0; i + 3 < curve.length; i += 3) lengths.push(distance(curve[i]!, curve[i + 3]!));
  let left = part * lengths.reduce((a, b) => a + b, 0);
  let at = 0;
  while (at + 1 < lengths.length && left > lengths[at]!) left -= lengths[at++]!;
  const t = Math.min(1, left / (lengths[at] || 1));
  const [a, b, c, d] = curve.slice(at * 3, at * 3 + 4) as [Point, Point, Point, Point];
  const rest = 1 - t;
  const [i, j, k, l] = [rest ** 3, 3 * rest * rest * t, 3 * rest * t * t, t ** 3];
  return { x: i * a.x + j * b.x + k * c.x + l * d.x, y: i * a.y + j * b.y + k * c.y + l * d.y };
}

/** The card that an arrow key leads to. */
export function neighbour(boxes: Map<string, Box>, id: string, key: string): string | undefined {
  const from = boxes.get(id);
  if (!from) return boxes.keys().next().value;
  if (key === "Home") return "client";
  const [x, y] = [from.x + from.width / 2, from.y + from.height / 2];
  let best: string | undefined;
  let least = Number.POSITIVE_INFINITY;
  for (const [other, each] of boxes) {
    if (other === id) continue;
    const [dx, dy] = [each.x + each.width / 2 - x, each.y + each.height / 2 - y];
    const directions: Record<string, [number, number]> = {
      ArrowRight: [dx, dy], ArrowLeft: [-dx, dy], ArrowDown: [dy, dx], ArrowUp: [-dy, dx],
    };
    const [ahead, beside] = directions[key] ?? [0, 0];
    if (ahead <= 4) continue;
    const far = ahead + 3 * Math.abs(beside);
    if (far < least) [best, least] = [other, far];
  }
  return best;
}
