"""What makes a pod one of a StatefulSet's: its name with its number, its host name, its labels, its volumes.

Source: upstream's pkg/controller/statefulset/stateful_set_utils.go.
"""

from __future__ import annotations

import re
from typing import Any

from wellhead.api.meta import Obj, labels
from wellhead.api.types.pod import Pod
from wellhead.controllers.pod_control import pod_from_template
from wellhead.controllers.revisions import POD_LABEL

POD_NAME_LABEL = "statefulset.kubernetes.io/pod-name"
POD_INDEX_LABEL = "apps.kubernetes.io/pod-index"

_NAME = re.compile(r"(.*)-([0-9]{1,9})", re.ASCII)


def start_of(statefulset: Obj) -> int:
    """The first number."""
    return int((statefulset["spec"].get("ordinals") or {}).get("start") or 0)


def replicas_of(statefulset: Obj) -> int:
    return int(statefulset["spec"].get("replicas", 1))


def ordinals(statefulset: Obj) -> range:
    """The numbers that its pods are to have."""
    start = start_of(statefulset)
    return range(start, start + replicas_of(statefulset))


def parsed(pod: Pod) -> tuple[str, int]:
    """(name of the StatefulSet, number), by the pod's name; ('', -1) if it has none such."""
    found = _NAME.fullmatch(pod["metadata"]["name"])
    return (found[1], int(found[2])) if found else ("", -1)


def ordinal_of(pod: Pod) -> int:
    return parsed(pod)[1]


def is_member(statefulset: Obj, pod: Pod) -> bool:
    """Whether the pod has a name of this StatefulSet's."""
    return parsed(pod)[0] == str(statefulset["metadata"]["name"])


def pod_name(statefulset: Obj, ordinal: int) -> str:
    return f"{statefulset['metadata']['name']}-{ordinal}"


def revision_of(pod: Pod) -> str:
    """The name of the revision that the pod was made of."""
    return labels(pod).get(POD_LABEL, "")


def new_pod(statefulset: Obj, template: Obj, revision: str, ordinal: int) -> Pod:
    """The pod with this number, of the revision of this name, whose template is given."""
    made: Any = pod_from_template(statefulset, template)
    name = made["metadata"]["name"] = pod_name(statefulset, ordinal)
    made = with_identity(statefulset, made)
    made["metadata"]["labels"][POD_LABEL] = revision
    made["spec"] = {**made["spec"], "hostname": name}
    made["spec"].pop("subdomain", None)
    if service := statefulset["spec"].get("serviceName"):
        made["spec"]["subdomain"] = service
    pod: Pod = made
    return pod


def with_identity(statefulset: Obj, pod: Any) -> Any:
    """The pod with the labels and the volumes of its number."""
    name, ordinal = pod["metadata"]["name"], ordinal_of(pod)
    found = {**labels(pod), POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal)}
    mine = volumes(statefulset, ordinal)
    taken = {each["name"] for each in mine}
    others = [each for each in pod["spec"].get("volumes") or [] if each["name"] not in taken]
    spec = {**pod["spec"], "volumes": [*mine, *others]} if mine or others else pod["spec"]
    return {**pod, "metadata": {**pod["metadata"], "labels": found}, "spec": spec}


def matches_identity(statefulset: Obj, pod: Pod) -> bool:
    """Whether the pod's name label and its volumes are as they must be."""
    there = {
        each["name"]: each.get("persistentVolumeClaim") or {} for each in pod["spec"].get("volumes") or []
    }
    return labels(pod).get(POD_NAME_LABEL) == pod["metadata"]["name"] and all(
        there.get(each["name"], {}).get("claimName") == each["persistentVolumeClaim"]["claimName"]
        for each in volumes(statefulset, ordinal_of(pod))
    )


def volumes(statefulset: Obj, ordinal: int) -> list[Obj]:
    """A volume for each claim of the pod with this number."""
    return [
        {
            "name": template["metadata"]["name"],
            "persistentVolumeClaim": {"claimName": claim_name(statefulset, template, ordinal)},
        }
        for template in claim_templates(statefulset)
    ]


def claim_templates(statefulset: Obj) -> list[Obj]:
    return statefulset["spec"].get("volumeClaimTemplates") or []


def claim_name(statefulset: Obj, template: Obj, ordinal: int) -> str:
    return f"{template['metadata']['name']}-{pod_name(statefulset, ordinal)}"
