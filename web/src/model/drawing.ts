/** What is in the picture: cards in four columns, and the ways between them. No coordinates yet. */
import type { Disposition, Node, Pod, SeenAs, Service, Way } from "../values";
import { alike, DISPOSITIONS } from "./answer";
import { type Fold, fold, foldNames, foldTitle } from "./folds";
import { at, type Hop, host, predicted } from "./hops";
import type { Font } from "./text";
import { count, naturally, share } from "./text";
import type { World } from "./world";

export type Tone = "plain" | "quiet" | "good" | "bad" | "ended" | SeenAs;
export type CardKind = "client" | "address" | "node" | "pod" | "fold" | "note";

export interface CardLine {
  text: string;
  font: Font;
  tone: Tone;
  tag?: string;
  lines?: number;
  /** An address that can be asked for by pressing this line. */
  to?: string;
}

export interface Card {
  id: string;
  kind: CardKind;
  column: 0 | 1 | 2 | 3;
  title: string;
  /** Beside the title: how much of the way comes through. */
  corner?: string;
  lines: CardLine[];
  /** On one of the ways that are drawn. */
  on: boolean;
  /** The node that a pod stands beside. */
  home?: string;
  /** What it can be in a question. */
  client?: string;
  to?: string;
  fold?: string;
  /** For those who listen. */
  label: string;
  /** When it last changed. */
  changed: number;
}

export interface Edge {
  from: string;
  to: string;
  share: number;
  owner: SeenAs;
  /** How it ends at `to`, where it does. */
  ended?: Disposition;
  outcomes: number[];
}

export interface Drawing {
  cards: Card[];
  edges: Edge[];
  /** Of each outcome, the cards that it comes through. */
  stops: string[][];
}

export interface Wish {
  /** Who asks, also where no way is known. */
  client?: string;
  way: Way | undefined;
  service: Service | undefined;
  /** The outcome that is looked at; null: all of them. */
  outcome: number | null;
  open: ReadonlySet<string>;
  limit?: number;
}

const PODS = 4;

export function draw(world: World, wish: Wish): Drawing {
  const { way, service } = wish;
  const hops = (way?.outcomes ?? []).map((outcome) => predicted(way!, outcome));
  const wanted = hops.map((_, index) => wish.outcome === null || wish.outcome === index);
  const chosen = wish.outcome === null ? undefined : hops[wish.outcome];
  const pinned = new Set<string>();
  for (const each of chosen ?? []) if (each.place.startsWith("node/")) pinned.add(each.place.slice(5));
  if (way?.clientNode) pinned.add(way.clientNode);

  const folded = fold(world.nodes, service, pinned, wish.open, wish.limit);
  const cards: Card[] = [clientCard(world, way, wish.client)];
  const address = addressCard(world, service, way, visits(hops, wanted, "address"));
  if (address) cards.push(address);

  const stand = new Map<string, string>(); // a place's card
  stand.set("client", "client");
  stand.set("address", address ? "address" : "client");
  const pods = podsOf(service, way, wanted);
  for (const node of folded.single) {
    stand.set(`node/${node.name}`, `node/${node.name}`);
    cards.push(nodeCard(world, node, service, withoutTranslation(visits(hops, wanted, `node/${node.name}`), node), way));
    const own = pods.filter((each) => each.node === node.name);
    const many = own.length > PODS && !wish.open.has(`pods/${node.name}`);
    const shownPods = many ? own.filter((each) => visits(hops, wanted, each.place).length && chosen).slice(0, 2) : own;
    for (const pod of shownPods) {
      stand.set(pod.place, pod.place);
      cards.push(podCard(world, pod, `node/${node.name}`, wish, way));
    }
    const rest = own.filter((each) => !shownPods.includes(each));
    if (rest.length) cards.push(podsFold(`pods/${node.name}`, rest, `node/${node.name}`, stand, hops, wanted, way));
  }
  for (const each of folded.folds) {
    cards.push(foldCard(each, hops, wanted, stand));
    const names = new Set(each.nodes.map((node) => node.name));
    const inside = pods.filter((pod) => names.has(pod.node));
    if (inside.length) cards.push(podsFold(`pods-of-${each.id}`, inside, each.id, stand, hops, wanted, way));
  }
  for (const pod of pods.filter((each) => !stand.has(each.place))) {
    stand.set(pod.place, pod.place);
    cards.push(podCard(world, pod, undefined, wish, way));
  }
  const opened = [...wish.open].filter((id) => id.startsWith("fold/"));
  if (opened.length && world.nodes.length > (wish.limit ?? 0)) {
    cards.push({
      id: "close", kind: "note", column: 2, title: "Fold the nodes again", lines: [], on: false, fold: "",
      label: "Fold the nodes again", changed: 0,
    });
  }
  const visited = crossed(hops.map((each) => stopsOf(each, stand)), wish.outcome === null);
  const stops = visited.map((each) => each.map((stop) => stop.card));
  const edges = edgesOf(visited, way, wanted);
  const on = new Set(edges.flatMap((each) => [each.from, each.to]));
  for (const card of cards) {
    card.on = on.has(card.id);
    if (card.column !== 2) continue;
    const part = edges.filter((each) => each.to === card.id && !each.from.startsWith("node/") && !each.from.startsWith("fold/"))
      .reduce((sum, each) => sum + each.share, 0);
    if (part > 0 && part < 0.995) card.corner = share(part);
  }
  return { cards, edges, stops };
}

interface Visit { hop: Hop; outcome: number }

function visits(hops: Hop[][], wanted: boolean[], place: string): Visit[] {
  return hops.flatMap((each, outcome) =>
    wanted[outcome] ? each.filter((hop) => hop.place === place).map((hop) => ({ hop, outcome })) : [],
  );
}

function clientCard(world: World, way: Way | undefined, client: string | undefined): Card {
  const outside = world.clients[0];
  const asked = way?.client ?? (client || outside?.asks) ?? "outside";
  const is = outside && (asked === "outside" || asked === outside.asks || asked === outside.name || outside.addresses.includes(asked));
  const title = is ? (outside.name === "outside" ? "outside" : outside.name) : asked.replace(/^(pod|node)\//, "$1 ");
  const lines: CardLine[] = [];
  const addresses = way?.clientAddress ? [way.clientAddress] : is ? outside.addresses.slice(0, 2) : [];
  for (const each of addresses) lines.push({ text: each, font: "mono", tone: "client", lines: 3 });
  if (!addresses.length) lines.push({ text: "an address in none of the cluster's networks", font: "text", tone: "quiet", lines: 3 });
  lines.push({ text: is ? "outside of the cluster" : way?.clientNode ? `on ${way.clientNode}` : "", font: "text", tone: "quiet", lines: 2 });
  return {
    id: "client", kind: "client", column: 0, title, lines: lines.filter((each) => each.text), on: true,
    client: asked, label: `Client: ${title}, ${addresses.join(", ") || "an address outside of the cluster"}`, changed: 0,
  };
}

function addressCard(world: World, service: Service | undefined, way: Way | undefined, seen: Visit[]): Card | undefined {
  if (!service && !way) return undefined;
  const dialled = way ? at(way.address, way.port) : "";
  const lines: CardLine[] = [];
  if (way) {
    lines.push({ text: dialled, font: "mono", tone: "plain", lines: 3 });
    lines.push({ text: FRONTENDS[way.frontend] ?? way.frontend, font: "text", tone: "quiet", lines: 2 });
  }
  const said = new Map<string, string>();
  for (const { hop } of seen)
    for (const each of hop.said) if (!said.has(each.who)) said.set(each.who, each.because);
  for (const who of said.keys()) lines.push({ text: `${who} passes it on`, font: "text", tone: "quiet", lines: 2 });
  lines.push(...rewriteLines(seen), ...endLines(seen, way));
  if (service) {
    const policy = way && ["ClusterIP"].includes(way.frontend)
      ? `internalTrafficPolicy ${service.internalTrafficPolicy || "Cluster"}`
      : service.externalTrafficPolicy ? `externalTrafficPolicy ${service.externalTrafficPolicy}` : "";
    if (policy) lines.push({ text: policy, font: "text", tone: "plain", lines: 2 });
    if (service.preserveClientIP) lines.push({ text: "preserve-client-ip", font: "text", tone: "good" });
    const others = addressesOf(world, service).filter((each) =>
      each.to !== dialled && each.tag !== "node" && (!way || each.to.includes("[") === (way.family === "IPv6")));
    for (const each of others.slice(0, 3)) lines.push({ text: each.to, font: "mono", tone: "quiet", to: each.to, tag: each.tag, lines: 3 });
    const ports = service.ports.filter((each) => each.nodePort).map((each) => `:${each.nodePort}`);
    if (ports.length && way?.frontend !== "NodePort") lines.push({ text: ports.slice(0, 2).join(" "), font: "mono", tone: "quiet", tag: "each node" });
  }
  const title = service ? service.name : dialled;
  if (!service) lines.shift();
  else lines.unshift({ text: `Service in ${service.namespace}`, font: "text", tone: "quiet", lines: 2 });
  return {
    id: "address", kind: "address", column: 1, title, lines, on: false, to: dialled || undefined,
    label: `Address ${dialled} ${way ? FRONTENDS[way.frontend] ?? way.frontend : ""}${service ? ` of Service ${title}, type ${service.type}` : ""}`,
    changed: service ? world.changed.get(service.id) ?? 0 : 0,
  };
}

const FRONTENDS: Record<string, string> = {
  ClusterIP: "ClusterIP", NodePort: "a node port: the node's own address", ExternalIP: "an external IP",
  LoadBalancerIP: "the load balancer's address (VIP)", Hostname: "the load balancer's name", HostPort: "a host port",
  PodIP: "a pod's own address", NodeIP: "a node's own address", Ingress: "an Ingress",
};

/** Everything that one can dial of a Service. */
export function addressesOf(world: World, service: Service): { to: string; tag: string; where: string }[] {
  const found: { to: string; tag: string; where: string }[] = [];
  for (const { port, nodePort } of service.ports) {
    for (const each of service.vips) found.push({ to: at(each.address, port), tag: "VIP", where: "load balancer" });
    for (const each of service.externalIPs) found.push({ to: at(each, port), tag: "ext", where: "external IP" });
    for (const each of service.clusterIPs) if (each !== "None") found.push({ to: at(each, port), tag: "ClusterIP", where: "ClusterIP" });
    if (nodePort)
      for (const node of world.nodes)
        for (const each of node.external.length ? node.external : node.addresses)
          found.push({ to: at(each, nodePort), tag: "node", where: node.name });
  }
  return found;
}

function nodeCard(world: World, node: Node, service: Service | undefined, seen: Visit[], way: Way | undefined): Card {
  const lines: CardLine[] = [];
  const family = (each: string) => !way || each.includes(":") === (way.family === "IPv6");
  const dialled = way && [...node.addresses, ...node.external].includes(way.address) ? way.address : undefined;
  const address = dialled ?? node.addresses.find(family) ?? node.addresses[0];
  if (address) lines.push({ text: address, font: "mono", tone: "quiet", lines: 3 });
  if (!node.ready) lines.push({ text: "not ready", font: "text", tone: "bad", tag: "✕" });
  if (node.unschedulable) lines.push({ text: "cordoned", font: "text", tone: "quiet" });
  if (node.excluded) lines.push({ text: "left out by balancers", font: "text", tone: "quiet", lines: 2 });
  const passes = service ? node.checks[service.id] : undefined;
  if (passes !== undefined && service?.healthCheckNodePort)
    lines.push({
      text: `check :${service.healthCheckNodePort}`, font: "text", tone: passes ? "good" : "bad", tag: passes ? "200" : "503",
    });
  lines.push(...rewriteLines(seen), ...endLines(seen, way));
  const others = Math.max(0, ...seen.map((each) => (way?.outcomes[each.outcome]?.enters === node.name ? alike(way.outcomes[each.outcome]!) : 0)));
  if (others) lines.push({ text: `and ${others} nodes like it`, font: "text", tone: "quiet" });
  const endpoints = service?.endpoints.filter((each) => each.node === node.name).length ?? 0;
  return {
    id: `node/${node.name}`, kind: "node", column: 2, title: node.name, lines, on: false, client: `node/${node.name}`,
    to: nodePort(node, service),
    label: [
      `Node ${node.name}`, address, node.ready ? "" : "not ready", node.unschedulable ? "cordoned" : "",
      passes === undefined ? "" : passes ? "health check passes" : "health check fails",
      service ? count(endpoints, "endpoint") : "",
      ...lines.filter((each) => each.tag === "SNAT" || each.tag === "DNAT" || each.tone === "ended").map((each) => `${each.tag ?? ""} ${each.text}`),
    ].filter(Boolean).join(", "),
    changed: world.changed.get(node.id) ?? 0,
  };
}

/** Without what leads a node's address for those outside to its own: the node itself has no part in that. */
function withoutTranslation(seen: Visit[], node: Node): Visit[] {
  return seen.map(({ hop, outcome }) => ({
    outcome,
    hop: {
      ...hop,
      rewrites: hop.rewrites.filter((each) => !(node.external.includes(host(each.from)) && node.addresses.includes(host(each.to)))),
    },
  }));
}

function nodePort(node: Node, service: Service | undefined): string | undefined {
  const port = service?.ports.find((each) => each.nodePort)?.nodePort;
  const address = node.external[0] ?? node.addresses[0];
  return port && address ? at(address, port) : undefined;
}

/** What is rewritten here by the ways that are drawn: each thing once. */
function rewriteLines(seen: Visit[]): CardLine[] {
  const lines: CardLine[] = [];
  const sources = new Map<string, SeenAs>();
  const destinations = new Set<string>();
  const connections = new Map<string, SeenAs>();
  for (const { hop } of seen)
    for (const each of hop.rewrites) {
      if (each.what === "destination") {
        // What is rewritten twice in one place goes on with the last.
        if (each === hop.rewrites.findLast((other) => other.what === "destination")) destinations.add(each.to);
      } else (each.what === "source" ? sources : connections).set(bare(each.to), hop.owner);
    }
  if (destinations.size === 1) lines.push({ tag: "DNAT", text: `→${[...destinations][0]}`, font: "mono", tone: "plain", lines: 3 });
  else if (destinations.size) lines.push({ tag: "DNAT", text: `→ one of ${destinations.size}`, font: "text", tone: "plain" });
  for (const [tag, found] of [["SNAT", sources], ["new", connections]] as const) {
    for (const [to, owner] of [...found].slice(0, 2)) lines.push({ tag, text: `→${to}`, font: /^[\d[a-f:.\]]+$/.test(to) ? "mono" : "text", tone: owner, lines: 3 });
    if (found.size > 2) lines.push({ text: `and ${found.size - 2} other sources`, font: "text", tone: "quiet" });
  }
  return lines;
}

/** An address without its port: it is a source, whose port says nothing. */
function bare(address: string): string {
  return /^(\d+\.){3}\d+:\d+$|^\[.*\]:\d+$/.test(address) ? host(address) : address;
}

function endLines(seen: Visit[], way: Way | undefined): CardLine[] {
  const lines = new Map<string, CardLine>();
  for (const { hop } of seen) {
    if (!hop.ended || !way) continue;
    const { disposition } = hop.ended;
    const { word, glyph } = DISPOSITIONS[disposition];
    const open = disposition === "unknown" || disposition === "unreachable";
    lines.set(word, { tag: glyph, text: word, font: "strong", tone: open ? "unknown" : "ended" });
  }
  return [...lines.values()];
}

interface Standing {
  place: string; name: string; node: string; address: string; ready: boolean; terminating: boolean; pod?: Pod;
}

function podsOf(service: Service | undefined, way: Way | undefined, wanted: boolean[]): Standing[] {
  const found = new Map<string, Standing>();
  const family = (address: string) => !way || address.includes(":") === (way.family === "IPv6");
  for (const each of service?.endpoints ?? []) {
    if (!family(each.address)) continue;
    const name = each.pod.replace(/^pod\//, "");
    const address = at(each.address, each.port);
    const place = name ? `pod/${name}` : `endpoint/${address}`;
    if (!found.has(place))
      found.set(place, { place, name: name || address, node: each.node, address, ready: each.ready, terminating: each.terminating });
  }
  (way?.outcomes ?? []).forEach((each, index) => {
    if (!each.endpoint || !wanted[index]) return;
    const place = each.endpointPod ? `pod/${each.endpointPod}` : `endpoint/${each.endpoint}`;
    if (!found.has(place))
      found.set(place, {
        place, name: each.endpointPod || each.endpoint, node: each.endpointNode, address: each.endpoint, ready: true,
        terminating: false,
      });
  });
  return [...found.values()].sort((a, b) => naturally(a.name, b.name));
}

function podCard(world: World, pod: Standing, home: string | undefined, wish: Wish, way: Way | undefined): Card {
  const lines: CardLine[] = [];
  const name = pod.name.includes("/") ? pod.name.slice(pod.name.indexOf("/") + 1) : pod.name;
  if (pod.address !== pod.name) lines.push({ text: pod.address, font: "mono", tone: "quiet", lines: 3 });
  if (pod.terminating) lines.push({ text: "terminating", font: "text", tone: "bad" });
  else if (!pod.ready) lines.push({ text: "not ready", font: "text", tone: "bad" });
  const sees = seesLines(way, wish.outcome, (each) => (each.endpointPod ? `pod/${each.endpointPod}` : `endpoint/${each.endpoint}`) === pod.place);
  lines.push(...sees);
  const entity = world.pod(pod.name);
  return {
    id: pod.place, kind: "pod", column: 3, title: name, lines, on: false, home,
    client: pod.name.includes("/") ? `pod/${pod.name}` : undefined, to: pod.address,
    label: [`Endpoint ${pod.name}`, pod.address, pod.node && `on ${pod.node}`, pod.terminating ? "terminating" : pod.ready ? "" : "not ready",
      ...sees.map((each) => `${each.tag ?? ""} ${each.text}`)].filter(Boolean).join(", "),
    changed: entity ? world.changed.get(entity.id) ?? 0 : 0,
  };
}

function seesLines(way: Way | undefined, outcome: number | null, mine: (each: Way["outcomes"][number]) => boolean): CardLine[] {
  const sources = new Map<string, SeenAs>();
  (way?.outcomes ?? []).forEach((each, index) => {
    if ((outcome === null || outcome === index) && each.disposition === "delivered" && mine(each))
      sources.set(each.source ? host(each.source) : each.sourceNote || "the client", each.seenAs);
  });
  const lines: CardLine[] = [...sources].slice(0, 3).map(([text, tone], index) => ({
    text, tone, font: /^[\da-f:.]+$/.test(text) ? "mono" : "text", tag: index ? "or" : "sees", lines: 3,
  }));
  if (sources.size > 3) lines.push({ text: `or ${sources.size - 3} others`, font: "text", tone: "quiet" });
  return lines;
}

function podsFold(
  id: string, pods: Standing[], home: string, stand: Map<string, string>, hops: Hop[][], wanted: boolean[], way: Way | undefined,
): Card {
  for (const each of pods) stand.set(each.place, id);
  const notReady = pods.filter((each) => !each.ready).length;
  const places = new Set(pods.map((each) => each.place));
  const sees = seesLines(way, null, (each) => places.has(each.endpointPod ? `pod/${each.endpointPod}` : `endpoint/${each.endpoint}`));
  const lines: CardLine[] = [
    ...(notReady ? [{ text: `${notReady} not ready`, font: "text", tone: "bad" } as CardLine] : []),
    ...(hops.some((each, index) => wanted[index] && places.has(each.at(-1)!.place)) ? sees.slice(0, 2) : []),
  ];
  return {
    id, kind: "fold", column: 3, title: count(pods.length, "endpoint"), lines, on: false, home, fold: home.startsWith("fold/") ? home : id,
    label: `${count(pods.length, "endpoint")}, folded; press to open`, changed: 0,
  };
}

function foldCard(each: Fold, hops: Hop[][], wanted: boolean[], stand: Map<string, string>): Card {
  for (const node of each.nodes) stand.set(`node/${node.name}`, each.id);
  const seen = each.nodes.flatMap((node) => visits(hops, wanted, `node/${node.name}`));
  const sources = new Set(seen.flatMap(({ hop }) => hop.rewrites.filter((r) => r.what === "source").map((r) => r.to)));
  const ended = endLines(seen, hops.length ? ({} as Way) : undefined);
  return {
    id: each.id, kind: "fold", column: 2, title: foldTitle(each), on: false, fold: each.id, changed: 0,
    lines: [
      { text: each.label, font: "text", tone: "quiet", lines: 3 },
      { text: foldNames(each), font: "text", tone: "quiet", lines: 2 },
      ...(sources.size === 1 ? [{ tag: "SNAT", text: `→${[...sources][0]}`, font: "mono", tone: "node" } as CardLine]
        : sources.size ? [{ tag: "SNAT", text: "→ the node's own", font: "text", tone: "node" } as CardLine] : []),
      ...ended,
    ],
    label: `${foldTitle(each)} of a kind: ${each.label}; press to open`,
  };
}

interface Stop {
  card: string;
  /** The last hop there. */
  hop: Hop;
}

function stopsOf(hops: Hop[], stand: Map<string, string>): Stop[] {
  const stops: Stop[] = [];
  for (const hop of hops) {
    const card = stand.get(hop.place);
    if (!card) continue;
    if (stops.at(-1)?.card === card) stops[stops.length - 1] = { card, hop };
    else stops.push({ card, hop });
  }
  return stops;
}

/** How many ways from node to node are drawn as such, before they lead to the endpoints directly. */
const CROSSINGS = 6;

/** Where all ways at once cross from node to node too often to be read, the endpoint's node is left out. */
function crossed(visited: Stop[][], all: boolean): Stop[][] {
  const node = (stop: Stop | undefined) => stop !== undefined && /^(node|fold)\//.test(stop.card);
  const pairs = new Set(visited.flatMap((stops) => stops.flatMap((stop, index) =>
    node(stop) && node(stops[index + 1]) ? [`${stop.card}|${stops[index + 1]!.card}`] : [])));
  if (!all || pairs.size <= CROSSINGS) return visited;
  return visited.map((stops) => stops.filter((stop, index) =>
    !(node(stop) && node(stops[index - 1]) && index + 2 === stops.length && !stop.hop.rewrites.length)));
}

function edgesOf(visited: Stop[][], way: Way | undefined, wanted: boolean[]): Edge[] {
  const edges = new Map<string, Edge>();
  visited.forEach((stops, outcome) => {
    if (!wanted[outcome]) return;
    for (let i = 0; i + 1 < stops.length; i++) {
      const [from, to] = [stops[i]!, stops[i + 1]!];
      const ended = i + 2 === stops.length ? to.hop.ended?.disposition : undefined;
      const { owner } = from.hop;
      const key = [from.card, to.card, owner, ended ?? ""].join("|");
      const part = way!.outcomes[outcome]!.share;
      const found = edges.get(key);
      if (found) {
        found.share += part;
        found.outcomes.push(outcome);
      } else edges.set(key, { from: from.card, to: to.card, share: part, owner, ended, outcomes: [outcome] });
    }
  });
  return [...edges.values()];
}

/** The edge's text for those who listen. */
export function edgeLabel(edge: Edge): string {
  return `${share(edge.share)} ${edge.ended ? DISPOSITIONS[edge.ended].word : ""}`.trim();
}
