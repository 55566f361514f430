"""What is typed at each kubectl, one after the other, and what comes of it.

The expectations are what upstream's server (1.36, 1.37) would answer that kubectl. An old one may ask for an
API that is gone: such a step is for those `since` which it is another.
"""

from __future__ import annotations

from dataclasses import dataclass

DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 1
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 0
      containers: [{name: web, image: busybox, command: [sleep, "3600"]}]
"""
CONFIG = """
apiVersion: v1
kind: ConfigMap
metadata: {name: settings}
data: {colour: blue}
"""


AS_JSON = '{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "raw"}}'
PRUNED = CONFIG.replace("{name: settings}", "{name: settings, labels: {a: pruned}}")
ROLE = """
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: reconciled}
rules: [{apiGroups: [""], resources: [pods], verbs: [get]}]
"""


@dataclass(frozen=True)
class Step:
    """One command line, without `kubectl`."""

    line: str
    says: str = ""
    """What its output has in it."""
    code: int = 0
    stdin: str = ""
    since: int = 0
    """The first minor version that is asked."""
    until: int = 99
    """The last one."""
    again: bool = False
    """Whether it is asked until it is right: of those that can't wait for what it tells."""
    lasts: bool = False
    """Whether it goes on until it is ended, which it is once it has said that."""
    path: str = ""
    """What is got from the port that it has named meanwhile."""
    answer: str = ""
    """What the answer to that has in it."""


WRITING = (
    Step("create deployment made --image=busybox --replicas=2", "created"),
    Step("create deployment made --image=busybox", "already exists", code=1),
    Step("create configmap made --from-literal=a=b", "created"),
    Step("create secret generic made --from-literal=a=b", "created"),
    Step("create serviceaccount made", "created"),
    Step("create service clusterip made --tcp=80:8080", "created"),
    Step("create role made --verb=get --resource=pods", "created"),
    Step("create rolebinding made --role=made --serviceaccount=default:made", "created"),
    Step("create quota made --hard=pods=100", "created"),
    Step("create job made --image=busybox -- true", "created"),
    # batch/v1beta1 is gone since 1.25, and what kubectl 1.20 knows isn't batch/v1.
    Step("create cronjob made --image=busybox --schedule=@yearly -- true", "created", since=21),
    Step("create poddisruptionbudget made --selector=app=none --min-available=1", "created", since=22),
    Step("create ingress made --rule=h/p=made:80", "created"),
    Step("apply -f -", "deployment.apps/web created", stdin=DEPLOYMENT),
    Step("apply -f -", "deployment.apps/web unchanged", stdin=DEPLOYMENT),
    Step("diff -f -", "", stdin=DEPLOYMENT),
    Step("diff -f -", "+  replicas: 3", stdin=DEPLOYMENT.replace("replicas: 1", "replicas: 3"), code=1),
    Step(
        "apply --dry-run=server -f -",
        "(server dry run)",
        stdin=DEPLOYMENT.replace("replicas: 1", "replicas: 3"),
    ),
    Step("apply --server-side -f -", "configmap/settings serverside-applied", stdin=CONFIG),
    Step("apply --server-side -f -", "serverside-applied", stdin=CONFIG.replace("blue", "red")),
    Step("""patch configmap settings --type=merge -p '{"data":{"colour":"green"}}'""", "patched"),
    Step("apply --server-side -f -", 'conflict with "kubectl-patch"', stdin=CONFIG, code=1),
    Step("apply --server-side --force-conflicts -f -", "serverside-applied", stdin=CONFIG),
    Step("diff --server-side -f -", "", stdin=CONFIG),
    Step("get configmap settings -o jsonpath={.data.colour}", "blue"),
    Step("get configmap settings -o yaml", "managedFields", until=20),
    Step("get configmap settings -o yaml --show-managed-fields", "operation: Apply", since=21),
    Step("apply -f -", 'unknown field "', stdin=DEPLOYMENT.replace("replicas", "replcas"), code=1),
    Step("label configmap settings a=b", "labeled"),
    Step("annotate configmap settings a=b", "annotate"),
    Step("""patch deployment web -p '{"spec":{"revisionHistoryLimit":3}}'""", "patched"),
    Step(
        """patch deployment web --type=json -p '[{"op":"remove","path":"/metadata/labels/app"}]'""", "patched"
    ),
    Step("scale deployment made --replicas=0", "scaled"),
    Step("scale deployment made --current-replicas=5 --replicas=1", "", code=1),
    Step("set image deployment/made busybox=busybox:none", "image updated"),
    Step("set env deployment/made A=B", "env updated"),
    Step("set resources deployment/made --limits=cpu=1", "resource requirements updated"),
    Step("autoscale deployment made --max=3", "autoscaled"),
    Step("set serviceaccount deployment/made made", "serviceaccount updated"),
    Step("set subject rolebinding/made --user=somebody", "subjects updated"),
    Step("set selector service/made app=made", "selector updated"),
    Step("create configmap kept --from-literal=a=b --save-config", "created"),
    Step("apply view-last-applied configmap/kept", "kept"),
    Step("create service nodeport opened --tcp=80", "created"),
    Step("create service externalname named --external-name=example.com", "created"),
    Step("create token made --duration=10m", "ey", since=24),
    Step("create configmap asked --from-literal=a=b --dry-run=server", "created (server dry run)"),
    Step("get configmap asked", "not found", code=1),
    Step("auth reconcile -f -", "reconciled", stdin=ROLE),
    Step("auth reconcile -f -", "reconciled", stdin=ROLE.replace("[get]", "[get, list]")),
    Step("patch deployment made --subresource=scale --type=merge -p {scale}", "patched", since=24),
    # Older ones print a Scale themselves.
    Step("get deployment made --subresource=scale", "DESIRED", since=36),
    # What 1.21 and older look through is gone: batch/v1beta1.
    Step("apply --prune -l a=pruned -f -", "configmap/settings configured", stdin=PRUNED, since=22),
    Step("replace -f -", "replaced", stdin=CONFIG),
    Step("replace --force -f -", "replaced", stdin=CONFIG),
    Step("expose deployment web --port=80", "exposed"),
    Step("rollout status deployment/web --timeout=60s", "successfully rolled out"),
    Step("rollout restart deployment/web", "restarted"),
    Step("rollout history deployment/web", "REVISION"),
    Step("rollout undo deployment/web", "rolled back"),
    Step("rollout pause deployment/web", "paused"),
    Step("rollout resume deployment/web", "resumed"),
)

# What is typed more rarely: asked of all kubectls only when all are asked.
RARE = (
    Step("create clusterrole {namespace} --verb=get,list --resource=pods,deployments.apps", "created"),
    Step("create clusterrolebinding {namespace} --clusterrole={namespace} --user=u --group=g", "created"),
    Step("describe clusterrole {namespace}", "deployments.apps"),
    Step("auth can-i list deployments.apps --as=u", "yes"),
    Step("auth can-i get /metrics --as=u", "no", code=1),
    Step("delete clusterrole,clusterrolebinding {namespace}", "deleted"),
    Step("create priorityclass {namespace} --value=10 --description=d", "created"),
    Step("get priorityclass {namespace}", "10"),
    Step("delete priorityclass {namespace} --now", "deleted"),
    Step("create secret docker-registry puller --docker-username=u --docker-password=p", "created"),
    Step("describe secret puller", ".dockerconfigjson:"),
    Step("create service loadbalancer balanced --tcp=80:80", "created"),
    Step("create service clusterip headless --clusterip=None --tcp=80", "created"),
    Step("create job once --from=cronjob/made", "created", since=21),
    Step("expose deployment web --port=80 --type=NodePort --name=opened-web", "exposed"),
    Step("label configmap settings --list", "a=b"),
    Step("annotate configmap settings --list", "a=b"),
    Step("label configmap settings a=c", "already has a value", code=1),
    Step("label configmap settings a=c --overwrite", "labeled"),
    Step("label configmap settings a-", "configmap/settings"),
    Step("rollout history deployment/web --revision=2", "revision #2"),
    Step("rollout undo deployment/web --to-revision=99", "unable to find specified revision", code=1),
    Step("get deployment web -o yaml", "kind: Deployment"),
    Step("get deployment web -o jsonpath-as-json={.kind}", "Deployment", since=19),
    Step("get deployment web -o kyaml", 'kind: "Deployment"', since=35),
    Step("get pods --server-print=false", "web-"),
    Step("get pods -L app -l 'app in (web,x),!nothing'", "web"),
    Step("get pods -o wide --no-headers", "10.244."),
    Step("get deployment,configmap -o name", "configmap/settings"),
    Step("get pods --watch-only --request-timeout=1s", ""),
    Step("get pods -w --output-watch-events", "ADDED", lasts=True),
    Step("get deployments web none", "not found", code=1),
    Step("get --raw /api/v1/namespaces/{namespace}/configmaps?limit=1", '"continue"'),
    Step("get --raw /nothing", "NotFound", code=1),
    Step("api-resources -o wide --sort-by=kind", "ConfigMap", since=20),
    Step("api-resources --namespaced=false --no-headers", "clusterroles"),
    Step("top pod", "web-", again=True),
    Step("top pod --containers", "web", again=True),
    Step("cluster-info dump --namespaces {namespace}", "PodList"),
    Step("config view --minify", "clusters:"),
    Step("describe namespace {namespace}", "Active"),
    Step("describe secret made", "Opaque"),
    Step("scale deployment made --replicas=1 --resource-version=1", "", code=1),
    Step("scale deployment -l app=made --replicas=1", "scaled"),
    Step("apply set-last-applied -f - --create-annotation", "configmap/settings configured", stdin=CONFIG),
    Step("create --raw /api/v1/namespaces/{namespace}/configmaps -f -", '"kind"', stdin=AS_JSON),
    Step("delete --raw /api/v1/namespaces/{namespace}/configmaps/raw", "Success"),
    Step("wait --for=jsonpath={.spec.nodeName} pods -l app=web --timeout=60s", "condition met", since=31),
    Step("auth whoami -o json", "kubernetes-admin", since=28),
    Step("events --types=Normal --for deployment/web", "ScalingReplicaSet", since=26),
    Step("delete service,secret balanced headless opened-web puller", "not found", code=1),
)

READING = (
    Step("version", "Server Version"),
    Step("cluster-info", "control plane"),
    Step("api-versions", "apps/v1"),
    Step("api-resources", "deployments"),
    Step("api-resources --verbs=list --namespaced -o name", "configmaps"),
    Step("explain deployment.spec.replicas", "integer"),
    Step("explain service", "VERSION:"),
    Step("explain pods.spec.containers --recursive", "imagePullPolicy"),
    Step("explain deployment --output=plaintext-openapiv2", "VERSION:", since=27),
    Step("explain deployment --api-version=apps/v1", "Deployment"),
    Step("api-resources --categories=all", "deployments", since=27),
    Step("api-resources --api-group=batch", "cronjobs"),
    Step("auth can-i get pods --as=nobody", "no", code=1),
    Step("events", "Scheduled", since=26),
    Step("plugin list", "", code=1),
    Step("kustomize {tmp}/kustomized", "suffixed"),
    Step("auth can-i create pods", "yes"),
    Step("auth can-i --list", "Resources"),
    Step("auth whoami", "kubernetes-admin", since=28),
    Step("get nodes -o wide", "10.240.0.11"),
    Step("get all", "deployment.apps/web"),
    Step("get deployments,services", "service/web"),
    Step("get deployment web -o json", '"kind": "Deployment"'),
    Step("get deployment web -o name", "deployment.apps/web"),
    Step("get deployment web -o custom-columns=N:.metadata.name", "web"),
    Step("get deployment web -o go-template={{.metadata.name}}", "web"),
    Step("get pods -l app=web --show-labels", "app=web"),
    Step("get pods --field-selector=status.phase=Running", "web-"),
    Step("get pods -A --sort-by=.metadata.name", "web-"),
    Step("get pods --chunk-size=1", "web-"),
    Step("get events", "Scheduled"),
    Step("get nothing", "the server doesn't have a resource type", code=1),
    Step("get configmap none", "not found", code=1),
    Step("get configmap none --ignore-not-found", ""),
    Step("get --raw /healthz", "ok"),
    Step("describe deployment web", "StrategyType"),
    Step("describe pods -l app=web", "Containers:"),
    Step("describe service web", "Endpoints:"),
    Step("describe node node-1", "Allocatable:"),
    Step("describe configmap settings", "colour"),
    Step("describe role made", "pods"),
    # policy/v1beta1, networking.k8s.io/v1beta1 and autoscaling/v2beta2 are what these know.
    Step("describe ingress made", "Rules:", since=22),
    Step("describe poddisruptionbudget made", "Min available", since=22),
    Step("describe horizontalpodautoscaler made", "Max replicas", since=23),
    Step("describe cronjob made", "Schedule:", since=21),
    Step("top node", "node-1"),
    Step("wait --for=delete configmap/none --timeout=5s", "", since=24),
    Step("wait --for=create configmap/settings --timeout=60s", "condition met", since=31),
    Step("wait --for=condition=Available deployment/web --timeout=60s", "condition met"),
    Step("wait --for=jsonpath={.spec.replicas}=1 deployment/web --timeout=60s", "condition met", since=23),
)

PODS = (
    Step("run box --image=busybox --restart=Never --command -- sleep 3600", "created"),
    Step("wait --for=condition=Ready pod/box --timeout=60s", "condition met"),
    Step("exec box -- echo hello", "hello"),
    Step("exec -i box -- cat", "typed", stdin="typed\n"),
    Step("exec box -- sh -c 'exit 3'", "exit code 3", code=3),
    Step("exec box -c none -- true", "container none is not valid for pod box", code=1),
    Step("exec nobody -- true", "not found", code=1),
    Step("get pods -w", "box", lasts=True),
    Step("get pods -w -o name", "pod/box", lasts=True),
    Step("logs -f box", lasts=True),
    Step("run heard --image=busybox --restart=Never -i --attach=false --command -- {heard}", "created"),
    Step("wait --for=condition=Ready pod/heard --timeout=60s", "condition met"),
    Step("attach -i heard", "heard-typed", stdin="typed\n"),
    Step("attach nobody", "not found", code=1),
    Step("run served --image=busybox --restart=Never --command -- {served}", "created"),
    Step("wait --for=condition=Ready pod/served --timeout=60s", "condition met"),
    # In a shell of the built-in image, too, where busybox would take its own.
    Step("exec served -- sh -c 'wget -T 20 -qO- http://127.0.0.1:8080/'", "served-page", again=True),
    Step("port-forward pod/served :8080", "Forwarding from", lasts=True, path="/", answer="served-page"),
    Step("port-forward nobody :8080", "not found", code=1),
    Step("proxy --port=0", "Starting to serve", lasts=True, path="/api/v1/nodes/node-1", answer='"Node"'),
    Step(
        "proxy --port=0",
        "Starting to serve",
        lasts=True,
        path="/api/v1/namespaces/{namespace}/pods/served:8080/proxy/",
        answer="served-page",
    ),
    Step(
        "run shell --image=busybox -i --rm --restart=Never -- sh",
        "said-2",
        stdin="echo said-$((1+1)); exit\n",
    ),
    Step("run quick --image=busybox --restart=Never --command -- echo logged", "created"),
    Step("wait --for=jsonpath={.status.phase}=Succeeded pod/quick --timeout=60s", "condition met", since=23),
    Step("logs quick", "logged", until=22, again=True),
    Step("logs -f quick", "logged"),
    Step("logs box --previous", "previous terminated container", code=1),
    Step("cp box:/etc/hostname {tmp}/hostname", ""),
    Step("cp {tmp}/hostname box:/tmp/copied", ""),
    Step("exec box -- cat /tmp/copied", "box"),
    Step("get pod box -o jsonpath={.spec.nodeName}", "node-"),
    Step("annotate pod box a=b", "annotate"),
    Step("debug box --image=busybox --target=box -- true", "", since=23),
    Step("delete pod quick", "deleted"),
    Step("delete pod box --grace-period=0 --force", "deleted"),
)

HEARD = "read line; echo heard-$line"
SERVED = "echo served-page > /tmp/index.html; exec httpd -f -p 8080 -h /tmp"

CERTIFICATES = (
    Step("apply -f {tmp}/request-asked.yaml", "created"),
    Step("get csr {namespace}-asked", "Pending"),
    Step("certificate approve {namespace}-asked", "approved"),
    Step("get csr {namespace}-asked", "Approved,Issued", again=True),
    Step("apply -f {tmp}/request-refused.yaml", "created"),
    Step("certificate deny {namespace}-refused", "denied"),
    Step("get csr {namespace}-refused", "Denied"),
    Step("describe csr {namespace}-refused", "Denied"),
    Step("certificate approve nobody", "not found", code=1),
    Step("delete csr {namespace}-asked {namespace}-refused", "deleted"),
    # The editor is `sed`.
    Step("edit configmap settings", "configmap/settings edited"),
    Step("get configmap settings -o jsonpath={.data.colour}", "edited"),
    Step("edit configmap nobody", "not found", code=1),
)

NODES = (
    Step("cordon node-2", "cordoned"),
    Step("taint node node-2 a=b:NoSchedule", "tainted"),
    Step("taint node node-2 a-", "untainted"),
    Step("run away --image=busybox --overrides={overrides} --command -- sleep 3600", "created"),
    Step("wait --for=condition=Ready pod/away --timeout=60s", "condition met"),
    Step("drain node-2 --ignore-daemonsets --force --grace-period=0 --delete-emptydir-data", "evict"),
    Step("get pod away", "not found", code=1),
    Step("uncordon node-2", "uncordoned"),
)
OVERRIDES = '{"spec":{"nodeName":"node-2","terminationGracePeriodSeconds":0}}'

ENDING = (
    Step("delete deployment made --cascade=orphan", "deleted"),
    Step("delete clusterrole reconciled", "deleted"),
    # 1.20 made no CronJob.
    Step("delete job,cronjob,ingress,role,rolebinding,quota,secret made", "deleted", since=21),
    Step("delete -f -", "deleted", stdin=CONFIG),
    Step("delete all --all", "deleted"),
    Step("get deployments", "No resources found"),
)
