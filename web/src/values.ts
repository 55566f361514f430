/** What the server tells, as `wellhead.page.values`, `wellhead.paths.way` and `wellhead.trace.values` define it. */

export type SeenAs = "client" | "node" | "pod" | "balancer" | "other" | "unknown";
export type Disposition = "delivered" | "refused" | "dropped" | "unreachable" | "answered" | "unknown";
export type What = "send" | "deliver" | "forward" | "dnat" | "snat" | "terminate" | "encapsulate" | "drop" | "refuse" | "reply";

export interface Decision { object: string; field?: string; value?: string }
export interface Note { code: string; sentence: string; decidedBy?: Decision; do?: string }
export interface Step {
  who: string; what: What; from: string | null; to: string | null; code: string; because: string;
  decidedBy?: Decision; node?: string; evidence?: string; seconds?: number;
}
export interface Forwarded { by: string; form: string; address?: string | null; seenAs?: SeenAs; sentence?: string }
export interface Outcome {
  share: number; disposition: Disposition; source: string | null; seenAs: SeenAs; sourceNote: string;
  sourceOwner: string; enters: string; endpoint: string | null; endpointPod: string; endpointNode: string;
  forwarded: Forwarded[]; steps: Step[]; notes: Note[];
}
export interface Way {
  client: string; clientAddress: string | null; clientNode: string; address: string; port: number;
  protocol: string; family: string; frontend: string; service: string; outcomes: Outcome[]; notes: Note[];
  alike: string[];
}
export interface Unread { what: string; why: string; leavesOpen: string }
export interface Report { target: string; ways: Way[]; warnings: Note[]; advice: Note[]; unread: Unread[] }

export interface RuleView { table: string; chain: string; text: string; verdict: string; owner: string; service: string }
export interface RewriteView { what: string; from: string; to: string; who: string; rule: string; reason: string; service: string }
export interface HopView {
  place: string; leg: number; direction: string; microseconds: number; interfaceIn: string; interfaceOut: string;
  source: string; destination: string; rewrites: RewriteView[]; rules: RuleView[]; dropped: boolean;
  tunnelled: boolean; evidence: string[];
}
export interface Trace {
  way: Way; hops: HopView[]; answer: { ended: string; status: number; said: string; body: string };
  counted: string[]; incomplete: string[];
}

export interface Vip { address: string; mode: string; service: string }
export interface Client {
  kind: "client"; id: string; name: string; addresses: string[]; asks: string; sends: string;
  machines: { name: string; addresses: string[] }[];
}
export interface Balancer {
  kind: "balancer"; id: string; name: string; class: string; how: string; vips: Vip[]; holders: string[]; recognisedBy: string;
}
export interface Node {
  kind: "node"; id: string; name: string; addresses: string[]; external: string[]; podCIDRs: string[];
  ready: boolean; unschedulable: boolean; excluded: boolean; zone: string; checks: Record<string, boolean>;
}
export interface Pod {
  kind: "pod"; id: string; namespace: string; name: string; node: string; addresses: string[]; ready: boolean;
  phase: string; hostNetwork: boolean; terminating: boolean; services: string[];
}
export interface ServicePort { name: string; port: number; protocol: string; nodePort: number | null; targetPort: string }
export interface Endpoint {
  address: string; port: number; node: string; pod: string; ready: boolean; serving: boolean; terminating: boolean;
}
export interface Service {
  kind: "service"; id: string; namespace: string; name: string; type: string; headless: boolean;
  clusterIPs: string[]; externalIPs: string[]; vips: Vip[]; ports: ServicePort[]; externalTrafficPolicy: string;
  internalTrafficPolicy: string; preserveClientIP: boolean; class: string; sourceRanges: string[];
  affinity: string; healthCheckNodePort: number | null; balancer: string; endpoints: Endpoint[];
}
export type Entity = Client | Balancer | Node | Pod | Service;

export interface Can { can: boolean; why: string }
export interface Capabilities { send: Can; change: Can; source: string }
export interface Scene { capabilities: Capabilities; entities: Entity[]; unread: Unread[] }
export interface Change { put: Entity[]; gone: string[] }
export interface State { connected: boolean; why: string }

export interface Edit { service: string; changes: Record<string, string | boolean | null> }
export interface Ask { target: string; namespace?: string; clients?: string[]; port?: number | null; node?: string; edit?: Edit | null }
export interface Answer { report: Report; text: string }
export interface Answered extends Answer { edited?: Answer; differences?: unknown[]; summary?: string }

export interface Send { client: string; target: string; namespace?: string; via?: string; by?: string; how?: string; path?: string; ipv6?: boolean }
export interface Sent {
  id: string; at: string; question: Send; trace: Trace; predicted: Way | null; differences: string[]; text: string;
  diverges?: Diverges | null;
}
/** Where it went otherwise than predicted: numbers of steps, hops and outcomes. */
export interface Diverges {
  step: number | null; hop: number | null; outcome: number; predictedStep: number | null; expected: string;
}
export interface Line { id: string; at: string; question: Send; summary: string; disposition: string; agreed: boolean }
export interface Lever {
  id: string; title: string; of: string; choices: string[]; command: string; note: string;
}
export interface Pulled { command: string; done: boolean; output: string }
export interface LessonStep {
  id: string; section: string; about: string; title: string; command: string; where: string; look: string;
  press: string; note: string; ticked: boolean;
}
export interface Pressed { command: string; done: boolean; output: string; sent: string[] }
export interface Cell { seen: string; dispositions: Disposition[]; client: string; ask: Ask }
export interface Row {
  service: string; frontend: string; where: string; address: string; port: number; protocol: string; policy: string;
  cells: (Cell | null)[];
}
export interface Matrix { columns: string[]; rows: Row[]; leftOut: string[] }
