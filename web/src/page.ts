/** The page's state, and what one can do with it. Components draw it and call it; they keep nothing themselves. */
import { asked, dialled } from "./model/asked";
import { host } from "./model/hops";
import { closest, type Proof, proof } from "./model/proof";
import { fragment, NOTHING, type Question, type View, view } from "./model/view";
import { World } from "./model/world";
import { follow, get, post, Refused } from "./server";
import type {
  Answered, Ask, Lever, LessonStep, Line, Matrix, Pressed, Pulled, SeenAs, Sent, Service, Way,
} from "./values";

export interface Side {
  question: Question;
  /** Of an edited Service. */
  edited: boolean;
  answer: Answered | null;
  way: Way | undefined;
  text: string;
  error: string;
}

export class Page {
  readonly world = new World();
  view: View = view(location.hash);
  /** Answers to the one question, or to both. */
  sides: Side[] = [];
  asking = false;
  sending = false;
  sendError = "";
  sent: Sent | null = null;
  /** Counts the requests that were sent or opened: each one runs once. */
  runs = 0;
  history: Line[] = [];
  levers: Lever[] | null = null;
  lesson: LessonStep[] | null = null;
  matrix: Matrix | null = null;
  /** Where the run is held, in seconds; null while it runs by itself. */
  scrub: number | null = null;
  onScrub: (() => void) | null = null;
  progressed: [number, number] = [0, 1];
  onProgress: ((seconds: number, of: number) => void) | null = null;

  #listeners = new Set<() => void>();
  #told = false;

  #again = false;
  #matrixVersion = -1;
  #proved: { sent: Sent; proof: Proof } | null = null;

  start(): void {
    addEventListener("hashchange", () => {
      const found = view(location.hash);
      if (fragment(found) === fragment(this.view)) return;
      this.view = found;
      this.#opened();
    });
    follow({
      scene: (scene) => {
        this.world.begin(scene);
        if (!this.view.question.to) this.#first();
        if (!this.view.question.from)
          this.view = { ...this.view, question: { ...this.view.question, from: this.world.clients[0]?.asks ?? "outside" } };
        this.#opened();
      },
      change: (change) => {
        this.world.apply(change);
        this.tell();
        void this.ask();
        if (this.view.tab === "matrix") void this.loadMatrix();
      },
      state: (state) => {
        this.world.state = state;
        this.tell();
      },
      lesson: (ticks) => {
        this.world.ticks = ticks;
        this.tell();
      },
    });
  }

  subscribe(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** At most once a frame, however much changes. */
  tell(): void {
    if (this.#told) return;
    this.#told = true;
    requestAnimationFrame(() => {
      this.#told = false;
      for (const each of this.#listeners) each();
    });
  }

  /** Look at something else. */
  look(change: Partial<View>, keep = true): void {
    const questions = JSON.stringify([this.view.question, this.view.compare]);
    this.view = { ...this.view, ...change };
    const text = fragment(this.view);
    if (keep) history.pushState(null, "", `#${text}`);
    else history.replaceState(null, "", `#${text}`);
    if (JSON.stringify([this.view.question, this.view.compare]) !== questions) void this.ask();
    this.#load();
    this.tell();
  }

  choose(question: Partial<Question>, side: 0 | 1 = 0): void {
    const { compare } = this.view;
    if (side === 1 && compare?.kind === "other") {
      this.look({ compare: { kind: "other", question: { ...compare.question, ...question } }, outcome: null });
    } else {
      this.sent = null;
      this.look({ question: { ...this.view.question, node: "", ...question }, outcome: null, sent: "" });
    }
  }

  get service(): Service | undefined {
    return this.sides[0] && this.serviceOf(this.sides[0]);
  }

  /** The Service that a side is about, also where no way leads to it. */
  serviceOf(side: Side): Service | undefined {
    const name = side.way ? side.way.service : this.#named(side.question);
    return name ? this.world.service(name) : undefined;
  }

  get proof(): Proof | null {
    if (!this.sent) return null;
    if (this.#proved?.sent !== this.sent) this.#proved = { sent: this.sent, proof: proof(this.sent, this.owner) };
    return this.#proved.proof;
  }

  /** The hop that is other than predicted. */
  get wrong(): { place: string; expected: string } | null {
    return this.proof?.rows.find((each) => each.expected) ?? null;
  }

  progress(seconds: number, of: number): void {
    this.progressed = [Math.min(seconds, of), of];
    this.onProgress?.(Math.min(seconds, of), of);
  }

  /** Hold the run at a time, or (null) let it run from its beginning. */
  hold(seconds: number | null): void {
    this.scrub = seconds;
    if (seconds === null) {
      this.runs += 1;
      this.tell();
    } else this.onScrub?.();
  }

  /** Whose an address is. */
  readonly owner = (address: string): SeenAs => {
    const way = this.sent?.trace.way ?? this.sides[0]?.way;
    if (way?.clientAddress && host(way.clientAddress) === address) return "client";
    for (const each of this.world.entities.values()) {
      if (each.kind === "client") {
        if (each.addresses.includes(address)) return "client";
        if (each.machines.some((machine) => machine.addresses.includes(address))) return "balancer";
      }
      if (each.kind === "pod" && !each.hostNetwork && each.addresses.includes(address)) return "pod";
      if (each.kind === "node" && (each.addresses.includes(address) || each.external.includes(address))) return "node";
    }
    const outcome = way?.outcomes[0];
    if (outcome?.source && host(outcome.source) === address) return outcome.seenAs;
    return "other";
  };

  /** Asks anew; what comes meanwhile is asked for once more afterwards, and never twice at a time. */
  async ask(): Promise<void> {
    if (this.asking) {
      this.#again = true;
      return;
    }
    const { question, compare } = this.view;
    if (!question.to) return;
    this.asking = true;
    const began = performance.now();
    this.tell();
    try {
      const first = await this.#side(question, compare?.kind === "edit" ? compare.changes : null);
      const sides = [first[0]!];
      if (compare?.kind === "edit") sides.push(first[1] ?? { ...first[0]!, edited: true });
      if (compare?.kind === "other") sides.push((await this.#side(compare.question, null))[0]!);
      this.sides = sides;
    } finally {
      // In a busy cluster half of the time at most is spent with asking.
      const took = performance.now() - began;
      if (this.#again) await new Promise((done) => setTimeout(done, Math.min(took, 2000)));
      this.asking = false;
      this.tell();
      if (this.#again) {
        this.#again = false;
        void this.ask();
      }
    }
  }

  async #side(question: Question, changes: Record<string, string> | null): Promise<Side[]> {
    const ask: Ask = { target: question.to, clients: [question.from || "outside"] };
    if (question.namespace) ask.namespace = question.namespace;
    if (question.node) ask.node = question.node;
    const blank = { question, edited: false, answer: null, way: undefined, text: "", error: "" };
    try {
      const service = this.#named(question);
      if (changes && service) ask.edit = { service, changes: typed(changes) };
      const answer = await post<Answered>("api/ask", ask);
      const way = asked(answer.report, question.to, this.world);
      const sides: Side[] = [{ ...blank, answer, way, text: answer.text }];
      if (answer.edited) {
        const { report } = answer.edited;
        const edited = report.ways.find((each) => each.address === way?.address) ?? asked(report, question.to, this.world);
        sides.push({ ...blank, edited: true, answer, way: edited, text: answer.edited.text });
      }
      return sides;
    } catch (error) {
      return [{ ...blank, error: said(error) }];
    }
  }

  /** The Service that a question is about, `namespace/name`, as far as one can tell before it is answered. */
  #named(question: Question): string {
    if (question.to.startsWith("svc/")) {
      const name = question.to.slice(4).split(":")[0]!;
      return name.includes("/") ? name : `${question.namespace || "default"}/${name}`;
    }
    const asked = this.sides.find((each) => each.question.to === question.to)?.way?.service;
    if (asked) return asked;
    const address = host(question.to);
    const found = this.world.services.find((each) =>
      [...each.clusterIPs, ...each.externalIPs, ...each.vips.map((vip) => vip.address)].includes(address));
    return found ? `${found.namespace}/${found.name}` : "";
  }

  async send(): Promise<void> {
    if (this.sending) return;
    const { question } = this.view;
    const way = this.sides[0]?.way;
    const outside = this.world.clients[0];
    const client = question.from === "" || question.from === "outside" || question.from === outside?.asks
      ? outside?.sends || "client" : question.from;
    this.sending = true;
    this.sendError = "";
    this.tell();
    try {
      const target = way ? dialled(way, this.view.outcome) : question.to;
      this.sent = await post<Sent>("api/send", {
        client, target, namespace: question.namespace || "default", ipv6: way?.family === "IPv6",
      });
      this.scrub = null;
      this.runs += 1;
      const seen = this.sent.trace.way.outcomes[0];
      const outcome = way && seen ? closest(way.outcomes, seen) : null;
      this.look({ sent: this.sent.id, tab: "proof", compare: null, outcome });
      await this.loadHistory();
    } catch (error) {
      this.sendError = said(error);
    } finally {
      this.sending = false;
      this.tell();
    }
  }

  /** A request of the history, once more. */
  async open(id: string): Promise<void> {
    try {
      this.sent = await get<Sent>(`api/history/${encodeURIComponent(id)}`);
      this.scrub = null;
      this.runs += 1;
      const { way } = this.sent.trace;
      const outside = this.world.clients[0];
      const from = this.sent.question.client === outside?.sends ? outside.asks : this.sent.question.client;
      this.look({
        sent: id, tab: "proof", compare: null, outcome: null,
        question: { from, to: dialled(way, null), namespace: this.sent.question.namespace ?? "", node: "" },
      });
    } catch (error) {
      this.sendError = said(error);
      this.look({ sent: "" }, false);
    }
    this.tell();
  }

  async pull(lever: string, object: string, value: string, trying: boolean): Promise<Pulled> {
    try {
      return await post<Pulled>("api/levers", { lever, object, value, try: trying });
    } catch (error) {
      return { command: "", done: false, output: said(error) };
    }
  }

  async press(step: string): Promise<Pressed> {
    try {
      const found = await post<Pressed>(`api/lesson/${encodeURIComponent(step)}`, {});
      const [sent] = found.sent;
      if (sent) {
        await this.open(sent);
        this.look({ tab: "lesson" }, false);
      }
      return found;
    } catch (error) {
      return { command: "", done: false, output: said(error), sent: [] };
    }
  }

  async loadHistory(): Promise<void> {
    this.history = await get<Line[]>("api/history").catch(() => this.history);
    this.tell();
  }

  async loadMatrix(): Promise<void> {
    if (this.#matrixVersion === this.world.version) return;
    this.#matrixVersion = this.world.version;
    this.matrix = await get<Matrix>("api/matrix").catch(() => this.matrix);
    this.tell();
  }

  #opened(): void {
    this.#load();
    void this.ask();
    if (this.view.sent && this.sent?.id !== this.view.sent) void this.open(this.view.sent);
    this.tell();
  }

  #load(): void {
    const { tab } = this.view;
    if (tab === "history" && !this.history.length) void this.loadHistory();
    if (tab === "matrix") void this.loadMatrix();
    if (tab === "levers" && !this.levers) void get<Lever[]>("api/levers").then((found) => { this.levers = found; this.tell(); }, () => undefined);
    if (tab === "lesson" && !this.lesson) void get<LessonStep[]>("api/lesson").then((found) => { this.lesson = found; this.tell(); }, () => undefined);
  }

  /** What is shown before anybody asked: the Service that most people would ask about. */
  #first(): void {
    const rank = (each: Service) => (each.vips.length ? 0 : each.type === "NodePort" ? 1 : each.type === "LoadBalancer" ? 2 : 3) + (/^kube-|^wellhead/.test(each.namespace) ? 10 : each.name === "kubernetes" ? 5 : 0);
    const [service] = this.world.services.filter((each) => each.type !== "ExternalName").sort((a, b) => rank(a) - rank(b));
    if (!service) return;
    const { from } = this.view.question;
    this.view = { ...this.view, question: { ...NOTHING.question, from, to: `svc/${service.name}`, namespace: service.namespace } };
  }
}

function typed(changes: Record<string, string>): Record<string, string | boolean> {
  return Object.fromEntries(Object.entries(changes).map(([key, value]) =>
    [key, value === "true" ? true : value === "false" ? false : value]));
}

function said(error: unknown): string {
  if (error instanceof Refused) return error.message;
  return "the page's server doesn't answer";
}
