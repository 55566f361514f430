from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.unit.api.objects import named
from wellhead.api.ages import human_duration
from wellhead.api.errors import BadRequest
from wellhead.api.meta import Obj, format_time
from wellhead.api.resource import Resource
from wellhead.api.resources import (
    CONFIGMAPS,
    DEPLOYMENTS,
    ENDPOINTS,
    ENDPOINTSLICES,
    EVENTS,
    EVENTS_V1,
    NODES,
    PODS,
    SECRETS,
    SERVICES,
    kind_of,
)
from wellhead.api.tables import to_table

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def ago(**delta: int) -> str:
    return format_time(NOW - timedelta(**delta))


def row(resource: Resource, obj: Obj, *, wide: bool = False) -> dict[str, Any]:
    obj["metadata"].setdefault("creationTimestamp", ago(minutes=5))
    table = to_table(resource, [obj], now=NOW)
    cells = table["rows"][0]["cells"]
    assert len(cells) == len(table["columnDefinitions"])
    return {
        column["name"]: cell
        for column, cell in zip(table["columnDefinitions"], cells, strict=True)
        if wide or column["priority"] == 0
    }


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-5, "<invalid>"),
        (-1, "0s"),
        (119, "119s"),
        (120, "2m"),
        (192, "3m12s"),
        (600, "10m"),
        (3 * 3600, "3h"),
        (3 * 3600 + 60, "3h1m"),
        (9 * 3600, "9h"),
        (50 * 3600, "2d2h"),
        (9 * 86400, "9d"),
        (800 * 86400, "2y70d"),
        (9 * 365 * 86400, "9y"),
    ],
)
def test_human_durations(seconds: int, text: str) -> None:
    assert human_duration(seconds) == text


def pod(
    statuses: list[Obj], *, init: list[Obj] | None = None, phase: str = "Running", **metadata: Any
) -> Obj:
    return {
        "metadata": {"name": "p", **metadata},
        "spec": {
            "containers": [{"name": f"c{i}"} for i in range(max(len(statuses), 1))],
            "initContainers": [{"name": f"i{i}"} for i in range(len(init or ()))],
        },
        "status": {"phase": phase, "containerStatuses": statuses, "initContainerStatuses": init or []},
    }


RUNNING: Obj = {"name": "c0", "ready": True, "restartCount": 0, "state": {"running": {}}}
CRASHING: Obj = {
    "name": "c0",
    "ready": False,
    "restartCount": 4,
    "state": {"waiting": {"reason": "CrashLoopBackOff"}},
    "lastState": {"terminated": {"finishedAt": "2025-12-31T23:57:00Z"}},
}
COMPLETED: Obj = {
    "name": "c0",
    "ready": False,
    "restartCount": 0,
    "state": {"terminated": {"reason": "Completed"}},
}


@pytest.mark.parametrize(
    ("obj", "ready", "status"),
    [
        (pod([], phase="Pending"), "0/1", "Pending"),
        (pod([RUNNING]), "1/1", "Running"),
        (pod([CRASHING]), "0/1", "CrashLoopBackOff"),
        (pod([COMPLETED], phase="Succeeded"), "0/1", "Completed"),
        (pod([RUNNING, COMPLETED]), "1/2", "NotReady"),
        (pod([RUNNING], deletionTimestamp="2026-01-01T00:00:00Z"), "1/1", "Terminating"),
        (
            pod([COMPLETED], phase="Succeeded", deletionTimestamp="2026-01-01T00:00:00Z"),
            "0/1",
            "Completed",
        ),
        (
            pod([], init=[{"name": "i0", "state": {"running": {}}}], phase="Pending"),
            "0/1",
            "Init:0/1",
        ),
        (
            pod([], init=[{"name": "i0", "state": {"terminated": {"exitCode": 3}}}], phase="Pending"),
            "0/1",
            "Init:ExitCode:3",
        ),
        (
            pod(
                [],
                init=[{"name": "i0", "state": {"waiting": {"reason": "ImagePullBackOff"}}}],
                phase="Pending",
            ),
            "0/1",
            "Init:ImagePullBackOff",
        ),
    ],
)
def test_pod_status(obj: Obj, ready: str, status: str) -> None:
    shown = row(PODS, obj)
    assert (shown["Ready"], shown["Status"]) == (ready, status)


def test_pod_restarts_say_when() -> None:
    assert row(PODS, pod([CRASHING]))["Restarts"] == "4 (3m ago)"
    assert list(row(PODS, pod([RUNNING]))) == ["Name", "Ready", "Status", "Restarts", "Age"]
    assert row(PODS, pod([RUNNING]), wide=True)["Node"] == "<none>"


def test_sidecar_counts_as_a_container() -> None:
    started = {"name": "i0", "started": True, "ready": True, "restartCount": 1, "state": {"running": {}}}
    obj = pod([RUNNING], init=[started])
    obj["spec"]["initContainers"][0]["restartPolicy"] = "Always"
    assert (row(PODS, obj)["Ready"], row(PODS, obj)["Restarts"]) == ("2/2", "1")


def test_service_as_the_document_shows_it() -> None:
    spec: Obj = {"type": "ClusterIP", "clusterIP": "10.0.170.92", "ports": [{"port": 80, "protocol": "TCP"}]}
    assert row(SERVICES, named("clusterip", spec=spec)) == {
        "Name": "clusterip",
        "Type": "ClusterIP",
        "Cluster-IP": "10.0.170.92",
        "External-IP": "<none>",
        "Port(s)": "80/TCP",
        "Age": "5m",
    }
    spec |= {"type": "LoadBalancer", "selector": {"b": "c", "a": "b"}}
    spec["ports"] = [{"port": 80, "protocol": "TCP", "nodePort": 31234}]
    shown = row(SERVICES, named(spec=spec), wide=True)
    assert (shown["External-IP"], shown["Port(s)"]) == ("<pending>", "80:31234/TCP")
    assert shown["Selector"] == "a=b,b=c"
    status = {"loadBalancer": {"ingress": [{"ip": "203.0.113.1"}]}}
    assert row(SERVICES, named(spec=spec, status=status))["External-IP"] == "203.0.113.1"


def test_node() -> None:
    status: Obj = {
        "conditions": [{"type": "Ready", "status": "True"}],
        "addresses": [{"type": "InternalIP", "address": "10.240.0.11"}],
        "nodeInfo": {"kubeletVersion": "v1.37.0"},
    }
    node: Obj = {"metadata": {"name": "n", "labels": {"node-role.kubernetes.io/x": ""}}, "status": status}
    shown = row(NODES, {**node, "spec": {"unschedulable": True}}, wide=True)
    assert (shown["Status"], shown["Roles"]) == ("Ready,SchedulingDisabled", "x")
    assert (shown["Internal-IP"], shown["External-IP"]) == ("10.240.0.11", "<none>")


def test_deployment() -> None:
    template = {"spec": {"containers": [{"name": "c", "image": "x:1"}]}}
    spec = {"replicas": 3, "selector": {"matchLabels": {"app": "x"}}, "template": template}
    shown = row(DEPLOYMENTS, named(spec=spec, status={"readyReplicas": 2}), wide=True)
    assert (shown["Ready"], shown["Up-to-date"], shown["Selector"]) == ("2/3", 0, "app=x")
    assert (shown["Containers"], shown["Images"]) == ("c", "x:1")


def test_endpoints_show_the_first_three() -> None:
    addresses = [{"ip": f"10.244.1.{i}"} for i in range(1, 6)]
    subsets = [{"addresses": addresses, "ports": [{"port": 8080}]}]
    shown = row(ENDPOINTS, named(subsets=subsets))["Endpoints"]
    assert shown == "10.244.1.1:8080,10.244.1.2:8080,10.244.1.3:8080 + 2 more..."
    assert row(ENDPOINTS, named())["Endpoints"] == "<none>"
    slice_ = row(ENDPOINTSLICES, named(addressType="IPv4", endpoints=[]))
    assert (slice_["Ports"], slice_["Endpoints"]) == ("<unset>", "<unset>")


def test_data_is_counted() -> None:
    assert row(CONFIGMAPS, named(data={"a": ""}, binaryData={"b": ""}))["Data"] == 2
    assert row(SECRETS, named(type="Opaque", data={"a": ""}))["Data"] == 1


def test_events_look_the_same_in_both_groups() -> None:
    event = {
        **named("e"),
        "involvedObject": {"kind": "Pod", "name": "p"},
        "type": "Normal",
        "reason": "Started",
        "message": "started\n",
        "source": {"component": "agent", "host": "n"},
        "firstTimestamp": ago(minutes=5),
        "lastTimestamp": ago(seconds=5),
        "count": 3,
    }
    shown = row(EVENTS, event, wide=True)
    assert (shown["Last Seen"], shown["First Seen"], shown["Count"]) == ("5s", "5m", 3)
    assert (shown["Object"], shown["Source"], shown["Message"]) == ("pod/p", "agent, n", "started")
    assert row(EVENTS_V1, kind_of(EVENTS_V1).strategy.from_storage(event), wide=True) == shown


def test_what_a_row_carries() -> None:
    obj = named(data={})

    def carried(include: str) -> Any:
        return to_table(CONFIGMAPS, [obj], include_object=include)["rows"][0]["object"]

    assert carried("None") is None
    assert carried("Object") is obj
    assert carried("Metadata")["kind"] == "PartialObjectMetadata"
    with pytest.raises(BadRequest):
        carried("Some")
