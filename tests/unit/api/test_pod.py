from typing import Any

import pytest

from tests.unit.api.objects import create, named, problems, update
from wellhead.api.errors import Invalid
from wellhead.api.kinds.pod.spec import image_pull_policy
from wellhead.api.meta import Obj
from wellhead.api.resources import PODS, PODTEMPLATES

TOKEN_PATH = "/var/run/secrets/kubernetes.io/serviceaccount"


def pod(container: Obj | None = None, **spec: Any) -> Obj:
    first = {"name": "c", "image": "busybox", **(container or {})}
    return named("p", spec={"containers": [first], **spec})


def refusal(container: Obj | None = None, **spec: Any) -> list[str]:
    with pytest.raises(Invalid) as refused:
        create(PODS, pod(container, **spec))
    return problems(refused.value)


def test_defaults_are_upstreams() -> None:
    made = create(PODS, pod({"ports": [{"containerPort": 80}], "readinessProbe": {"httpGet": {"port": 80}}}))
    spec = made["spec"]
    assert spec["containers"][0] == {
        "name": "c",
        "image": "busybox",
        "imagePullPolicy": "Always",
        "ports": [{"containerPort": 80, "protocol": "TCP"}],
        "readinessProbe": {
            "httpGet": {"port": 80, "path": "/", "scheme": "HTTP"},
            "timeoutSeconds": 1,
            "periodSeconds": 10,
            "successThreshold": 1,
            "failureThreshold": 3,
        },
        "resources": {},
        "terminationMessagePath": "/dev/termination-log",
        "terminationMessagePolicy": "File",
    }
    del spec["containers"]
    assert spec == {
        "restartPolicy": "Always",
        "terminationGracePeriodSeconds": 30,
        "dnsPolicy": "ClusterFirst",
        "securityContext": {},
        "schedulerName": "default-scheduler",
        "enableServiceLinks": True,
    }
    assert made["status"] == {"phase": "Pending", "qosClass": "BestEffort"}
    assert made["metadata"]["generation"] == 1


@pytest.mark.parametrize(
    ("image", "policy"),
    [
        ("busybox", "Always"),
        ("busybox:latest", "Always"),
        ("k8s.gcr.io/echoserver:1.4", "IfNotPresent"),
        ("localhost:5000/x", "Always"),
        ("localhost:5000/x:1", "IfNotPresent"),
        ("x@sha256:00", "IfNotPresent"),
    ],
)
def test_pull_policy_follows_the_tag(image: str, policy: str) -> None:
    assert image_pull_policy(image) == policy


def test_limits_become_requests_and_are_canonical() -> None:
    made = create(PODS, pod({"resources": {"limits": {"cpu": "0.5", "memory": "1024Mi"}}}))
    both = {"cpu": "500m", "memory": "1Gi"}
    assert made["spec"]["containers"][0]["resources"] == {"limits": both, "requests": both}
    assert made["status"]["qosClass"] == "Guaranteed"


def test_host_network_takes_host_ports() -> None:
    made = create(PODS, pod({"ports": [{"containerPort": 80}]}, hostNetwork=True))
    assert made["spec"]["containers"][0]["ports"][0]["hostPort"] == 80
    template = {"template": pod({"ports": [{"containerPort": 80}]}, hostNetwork=True)}
    port = create(PODTEMPLATES, named("t", **template))["template"]["spec"]["containers"][0]["ports"][0]
    assert "hostPort" not in port


def test_status_sent_at_creation_is_dropped() -> None:
    assert create(PODS, {**pod(), "status": {"phase": "Running"}})["status"]["phase"] == "Pending"


@pytest.mark.parametrize(
    ("container", "spec", "problem"),
    [
        ({"name": ""}, {}, "spec.containers[0].name: Required value"),
        ({"image": ""}, {}, "spec.containers[0].image: Required value"),
        ({"name": "A"}, {}, 'spec.containers[0].name: Invalid value: "A": a lowercase RFC 1123 label must'),
        ({}, {"containers": []}, "spec.containers: Required value"),
        (
            {},
            {"restartPolicy": "Maybe"},
            'spec.restartPolicy: Unsupported value: "Maybe": supported values: "Always"',
        ),
        (
            {"imagePullPolicy": "Often"},
            {},
            'spec.containers[0].imagePullPolicy: Unsupported value: "Often": supported values: "Always", '
            '"IfNotPresent", "Never"',
        ),
        ({"ports": [{"containerPort": 0}]}, {}, "spec.containers[0].ports[0].containerPort: Required value"),
        (
            {"ports": [{"containerPort": 70000}]},
            {},
            "spec.containers[0].ports[0].containerPort: Invalid value: 70000: "
            "must be between 1 and 65535, inclusive",
        ),
        (
            {"ports": [{"containerPort": 1, "name": "x"}, {"containerPort": 2, "name": "x"}]},
            {},
            'spec.containers[0].ports[1].name: Duplicate value: "x"',
        ),
        (
            {"ports": [{"containerPort": 1, "hostPort": 1}, {"containerPort": 2, "hostPort": 1}]},
            {},
            'spec.containers[0].ports[1].hostPort: Duplicate value: "TCP//1"',
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/x"}]},
            {},
            'spec.containers[0].volumeMounts[0].name: Not found: "v"',
        ),
        (
            {"volumeMounts": [{"name": "v", "mountPath": "/x"}, {"name": "v", "mountPath": "/x"}]},
            {"volumes": [{"name": "v"}]},
            'spec.containers[0].volumeMounts[1].mountPath: Invalid value: "/x": must be unique',
        ),
        ({}, {"volumes": [{"name": "v"}, {"name": "v"}]}, 'spec.volumes[1].name: Duplicate value: "v"'),
        (
            {"resources": {"requests": {"cpu": "2"}, "limits": {"cpu": "1"}}},
            {},
            'spec.containers[0].resources.requests: Invalid value: "2": '
            "must be less than or equal to cpu limit of 1",
        ),
        (
            {"readinessProbe": {}},
            {},
            "spec.containers[0].readinessProbe: Required value: must specify a handler type",
        ),
        (
            {"livenessProbe": {"exec": {"command": ["x"]}, "successThreshold": 2}},
            {},
            "spec.containers[0].livenessProbe.successThreshold: Invalid value: 2: must be 1",
        ),
        (
            {"env": [{"name": "A=B"}]},
            {},
            'spec.containers[0].env[0].name: Invalid value: "A=B": a valid environment',
        ),
        (
            {},
            {"nodeSelector": {"a b": "c"}},
            'spec.nodeSelector: Invalid value: "a b": name part must consist',
        ),
        (
            {"restartPolicy": "Sometimes"},
            {},
            'spec.containers[0].restartPolicy: Unsupported value: "Sometimes": supported values: "Always", '
            '"Never", "OnFailure"',
        ),
        (
            {"restartPolicyRules": [{"action": "Restart", "exitCodes": {"operator": "In", "values": [1]}}]},
            {},
            "spec.containers[0].restartPolicy: Required value: "
            "must specify restartPolicy when restart rules are used",
        ),
        (
            {"restartPolicy": "Never", "restartPolicyRules": [{"action": "Explode", "exitCodes": {}}]},
            {},
            'spec.containers[0].restartPolicyRules[0].action: Unsupported value: "Explode": '
            'supported values: "Restart", "RestartAllContainers"',
        ),
        (
            {"lifecycle": {"preStop": {"sleep": {"seconds": 31}}}},
            {},
            "spec.containers[0].lifecycle.preStop.sleep: Invalid value: 31: "
            "must be non-negative and less than terminationGracePeriodSeconds (30)",
        ),
        (
            {"lifecycle": {"postStart": {"sleep": {"seconds": -1}}}},
            {"terminationGracePeriodSeconds": 5},
            "spec.containers[0].lifecycle.postStart.sleep: Invalid value: -1: "
            "must be non-negative and less than terminationGracePeriodSeconds (5)",
        ),
        (
            {"livenessProbe": {"httpGet": {"port": 80, "httpHeaders": [{"name": "A b", "value": ""}]}}},
            {},
            'spec.containers[0].livenessProbe.httpGet.httpHeaders: Invalid value: "A b": '
            "a valid HTTP header must consist of alphanumeric characters or '-' (e.g. 'X-Header-Name', "
            "regex used for validation is '[-A-Za-z0-9]+')",
        ),
        (
            {},
            {"hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a", "b\n10.0.0.2 c"]}]},
            'spec.hostAliases[0].hostnames[1]: Invalid value: "b\\n10.0.0.2 c": a lowercase RFC',
        ),
        (
            {},
            {"dnsConfig": {"searches": ["_tcp.example.", ".", "a\nnameserver 10.0.0.1"]}},
            'spec.dnsConfig.searches[2]: Invalid value: "a\\nnameserver 10.0.0.1": a lowercase RFC 1123',
        ),
        (
            {},
            {"dnsConfig": {"searches": [f"{'a' * 63}.bc"] * 31}},
            f'spec.dnsConfig.searches: Invalid value: ["{"a" * 63}.bc",',
        ),
        (
            {},
            {"dnsConfig": {"options": [{"name": "ndots", "value": "1\nnameserver 10.0.0.1"}]}},
            'spec.dnsConfig.options[0].value: Invalid value: "1\\nnameserver 10.0.0.1": must not',
        ),
        (
            {},
            {"dnsConfig": {"options": [{"name": ""}]}},
            "spec.dnsConfig.options[0]: Required value: must not be empty",
        ),
        (
            {},
            {"schedulingGates": [{"name": "a"}, {"name": "a"}]},
            'spec.schedulingGates[1]: Duplicate value: "a"',
        ),
        (
            {},
            {"schedulingGates": [{"name": "a"}], "nodeName": "n"},
            "spec.nodeName: Forbidden: cannot be set until all schedulingGates have been cleared",
        ),
    ],
)
def test_what_is_wrong_is_said_with_its_field(container: Obj, spec: Obj, problem: str) -> None:
    assert refusal(container, **spec)[0].startswith(problem)


def test_only_the_image_and_a_few_others_may_change() -> None:
    old = create(PODS, pod())
    spec = old["spec"]
    changed = {**old, "spec": {**spec, "containers": [{**spec["containers"][0], "image": "x:1"}]}}
    assert update(PODS, changed, old)["metadata"]["generation"] == 2
    with pytest.raises(Invalid, match="pod updates may not change fields other than"):
        update(PODS, {**old, "spec": {**spec, "nodeName": "n"}}, old)
    with pytest.raises(Invalid, match="pod updates may not add or remove containers"):
        update(
            PODS,
            {**old, "spec": {**spec, "containers": [*spec["containers"], {"name": "d", "image": "x"}]}},
            old,
        )


def test_scheduling_gates_may_only_be_removed() -> None:
    first, second = {"name": "example.com/a"}, {"name": "b"}
    old = create(PODS, pod(schedulingGates=[first, second]))
    (condition,) = old["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == (
        "PodScheduled",
        "False",
        "SchedulingGated",
    )
    fewer = update(PODS, {**old, "spec": {**old["spec"], "schedulingGates": [second]}}, old)
    none = update(PODS, {**fewer, "spec": {**fewer["spec"], "schedulingGates": []}}, fewer)
    assert "schedulingGates" not in none["spec"]
    with pytest.raises(Invalid, match="only deletion is allowed, but found new scheduling gate 'b'"):
        update(PODS, {**none, "spec": {**none["spec"], "schedulingGates": [second]}}, none)


def test_status_update_changes_the_status_only() -> None:
    old = create(PODS, pod())
    new = {"metadata": {"name": "p", "namespace": "default"}, "spec": {}, "status": {"phase": "Running"}}
    after = update(PODS, new, old, "status")
    assert after["spec"] == old["spec"]
    assert after["status"] == {"phase": "Running", "qosClass": "BestEffort"}
    assert after["metadata"]["generation"] == 1
    kept = update(PODS, {**after, "status": {"phase": "Failed"}}, after)
    assert kept["status"]["phase"] == "Running"


V4, V6 = {"ip": "10.244.1.2"}, {"ip": "fd00:10:244:1::2"}


def with_status(**status: Any) -> Obj:
    made = create(PODS, pod())
    written: Obj = update(PODS, {**made, "status": {**made["status"], **status}}, made, "status")["status"]
    return written


def test_pod_ip_is_the_first_of_pod_ips() -> None:
    assert with_status(podIPs=[V6, V4])["podIP"] == V6["ip"]
    assert with_status(podIP=V4["ip"])["podIPs"] == [V4]
    # An agent that knows one family only says what counts.
    assert with_status(podIP=V4["ip"], podIPs=[V6, V4])["podIPs"] == [V4]
    assert with_status(podIP=V4["ip"], podIPs=[V4, V6])["podIPs"] == [V4, V6]


@pytest.mark.parametrize("field", ["podIPs", "hostIPs"])
def test_a_pod_has_one_address_of_each_family(field: str) -> None:
    def problem(*entries: Obj) -> str:
        with pytest.raises(Invalid) as refused:
            with_status(**{field: list(entries), "hostIP": entries[0]["ip"]})
        return problems(refused.value)[-1]

    assert problem(V4, V6, {"ip": "10.244.1.3"}).endswith(
        "may specify no more than one IP for each IP family"
    )
    assert "must be a valid IP address" in problem({"ip": "x"})


def test_host_ip_is_the_first_of_host_ips() -> None:
    assert with_status(hostIP=V4["ip"], hostIPs=[V4, V6])["hostIPs"] == [V4, V6]
    with pytest.raises(Invalid, match=r"status.hostIPs\[0\].ip: Invalid value: .* must be equal to `hostIP`"):
        with_status(hostIP=V6["ip"], hostIPs=[V4, V6])
