/** The cluster's objects as the server tells them, by id; nothing is kept of what went. */
import type { Capabilities, Change, Client, Entity, Node, Pod, Scene, Service, State, Unread } from "../values";
import { naturally } from "./text";

const NOTHING: Capabilities = {
  send: { can: false, why: "not connected yet" },
  change: { can: false, why: "not connected yet" },
  source: "",
};

export class World {
  readonly entities = new Map<string, Entity>();
  /** When each object last changed: the number of the change. */
  readonly changed = new Map<string, number>();
  capabilities = NOTHING;
  unread: Unread[] = [];
  state: State = { connected: false, why: "connecting" };
  ticks: Record<string, boolean> = {};
  version = 0;

  /** Everything anew, as after the first or a lost connection. */
  begin(scene: Scene): void {
    this.entities.clear();
    this.changed.clear();
    for (const each of scene.entities) this.entities.set(each.id, each);
    this.capabilities = scene.capabilities;
    this.unread = scene.unread;
    this.version += 1;
  }

  apply(change: Change): void {
    this.version += 1;
    for (const each of change.put) {
      this.entities.set(each.id, each);
      this.changed.set(each.id, this.version);
    }
    for (const id of change.gone) {
      this.entities.delete(id);
      this.changed.delete(id);
    }
  }

  get clients(): Client[] { return this.#of("client"); }
  get nodes(): Node[] { return this.#of<Node>("node").sort((a, b) => naturally(a.name, b.name)); }
  get pods(): Pod[] { return this.#of("pod"); }

  get services(): Service[] {
    return this.#of<Service>("service").sort(
      (a, b) => naturally(a.namespace, b.namespace) || naturally(a.name, b.name),
    );
  }

  /** By its name, `namespace/name`. */
  service(name: string): Service | undefined {
    for (const each of this.entities.values())
      if (each.kind === "service" && `${each.namespace}/${each.name}` === name) return each;
    return undefined;
  }

  node(name: string): Node | undefined {
    for (const each of this.entities.values()) if (each.kind === "node" && each.name === name) return each;
    return undefined;
  }

  pod(name: string): Pod | undefined {
    for (const each of this.entities.values())
      if (each.kind === "pod" && `${each.namespace}/${each.name}` === name) return each;
    return undefined;
  }

  #of<T extends Entity>(kind: T["kind"]): T[] {
    const found: T[] = [];
    for (const each of this.entities.values()) if (each.kind === kind) found.push(each as T);
    return found;
  }
}
