/** What the tests look at: a cluster of three nodes as the server tells it, and larger ones made up. */
import { World } from "../src/model/world";
import type { Answered, Entity, Node, Outcome, Scene, Sent, Service, Way } from "../src/values";
import clusterip from "./fixtures/clusterip.json";
import differs from "./fixtures/differs.json";
import loadbalancer from "./fixtures/loadbalancer.json";
import nodeportCluster from "./fixtures/nodeport-cluster.json";
import nodeportLocal from "./fixtures/nodeport-local.json";
import scene from "./fixtures/scene.json";
import sentCluster from "./fixtures/sent-cluster.json";
import sentLocal from "./fixtures/sent.json";

export const answers = { clusterip, loadbalancer, nodeportCluster, nodeportLocal } as unknown as Record<
  "clusterip" | "loadbalancer" | "nodeportCluster" | "nodeportLocal", Answered
>;
export const sent = { local: sentLocal, cluster: sentCluster, differs } as unknown as Record<"local" | "cluster" | "differs", Sent>;

export function world(): World {
  const found = new World();
  found.begin(scene as unknown as Scene);
  return found;
}

export function node(name: string, more: Partial<Node> = {}): Node {
  return {
    kind: "node", id: `node/${name}`, name, addresses: [`10.0.0.${name.replace(/\D/g, "") || 1}`], external: [], podCIDRs: [],
    ready: true, unschedulable: false, excluded: false, zone: "", checks: {}, ...more,
  };
}

export function service(endpoints: { node: string; address: string; pod?: string }[], more: Partial<Service> = {}): Service {
  return {
    kind: "service", id: "service/shop/web", namespace: "shop", name: "web", type: "LoadBalancer", headless: false,
    clusterIPs: ["10.96.0.7"], externalIPs: [], vips: [{ address: "203.0.113.7", mode: "VIP", service: "service/shop/web" }],
    ports: [{ name: "", port: 80, protocol: "TCP", nodePort: 31007, targetPort: "8080" }], externalTrafficPolicy: "Local",
    internalTrafficPolicy: "Cluster", preserveClientIP: false, class: "", sourceRanges: [], affinity: "None",
    healthCheckNodePort: 32007, balancer: "",
    endpoints: endpoints.map((each) => ({ pod: `pod/shop/web-${each.address}`, port: 8080, ready: true, serving: true, terminating: false, ...each })),
    ...more,
  };
}

/** Fifty nodes, ten of them with an endpoint whose check passes. */
export function large(): { world: World; service: Service; way: Way } {
  const found = new World();
  const names = Array.from({ length: 50 }, (_, index) => `node-${index + 1}`);
  const web = service(names.slice(0, 10).map((name, index) => ({ node: name, address: `10.244.${index}.2` })));
  const entities: Entity[] = names.map((name, index) => node(name, { checks: { [web.id]: index < 10 } }));
  found.begin({ capabilities: found.capabilities, entities: [...entities, web], unread: [] });
  const outcomes = web.endpoints.map((each): Outcome => outcome({
    share: 0.1, endpoint: `${each.address}:8080`, endpointPod: each.pod.slice(4), endpointNode: each.node, enters: each.node,
    steps: [
      { who: "outside", what: "send", from: "198.51.100.79", to: "203.0.113.7:80", code: "Sent", because: "" },
      { who: "proxy", what: "dnat", from: "203.0.113.7:80", to: `${each.address}:8080`, code: "DestinationRewritten", because: "", node: each.node },
      { who: "pod", what: "deliver", from: null, to: `${each.address}:8080`, code: "Delivered", because: "", node: each.node },
    ],
  }));
  return { world: found, service: web, way: way(outcomes, { service: "shop/web" }) };
}

export function outcome(more: Partial<Outcome>): Outcome {
  return {
    share: 1, disposition: "delivered", source: "198.51.100.79", seenAs: "client", sourceNote: "", sourceOwner: "", enters: "",
    endpoint: null, endpointPod: "", endpointNode: "", forwarded: [], steps: [], notes: [], ...more,
  };
}

export function way(outcomes: Outcome[], more: Partial<Way> = {}): Way {
  return {
    client: "outside", clientAddress: "198.51.100.79", clientNode: "", address: "203.0.113.7", port: 80, protocol: "TCP",
    family: "IPv4", frontend: "LoadBalancerIP", service: "", outcomes, notes: [], alike: [], ...more,
  };
}
