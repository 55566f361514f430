"""The index of what nodes' pods refer to answers as a look through all pods would."""

from __future__ import annotations

from itertools import product
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from wellhead.api.kinds.pod.references import MIRROR_ANNOTATION, is_mirror, references
from wellhead.api.meta import Obj
from wellhead.apiserver.heads import head_of
from wellhead.apiserver.node_references import NodeReferences
from wellhead.storage.cache import Collection
from wellhead.storage.encoding import decode, encode, with_revision
from wellhead.storage.event_log import Event, Item

_NODES = ("node-1", "node-2")
_NAMESPACES = ("a", "b")
_PODS = ("p", "q")
_NAMES = ("x", "y")
_RESOURCES = ("secrets", "configmaps", "serviceaccounts")

_names = st.sampled_from(_NAMES)
_volumes = st.one_of(
    _names.map(lambda name: {"name": "v", "secret": {"secretName": name}}),
    _names.map(lambda name: {"name": "v", "configMap": {"name": name}}),
    st.tuples(_names, _names).map(
        lambda two: {
            "name": "v",
            "projected": {"sources": [{"secret": {"name": two[0]}}, {"configMap": {"name": two[1]}}]},
        }
    ),
)
_specs = st.fixed_dictionaries(
    {"containers": st.just([{"name": "c", "image": "i"}])},
    optional={
        "nodeName": st.sampled_from(_NODES),
        "serviceAccountName": _names,
        "volumes": st.lists(_volumes, max_size=3),
        "imagePullSecrets": st.lists(_names.map(lambda name: {"name": name}), max_size=2),
    },
)
_steps = st.lists(
    st.tuples(
        st.sampled_from(_NAMESPACES), st.sampled_from(_PODS), st.none() | st.tuples(_specs, st.booleans())
    ),
    max_size=12,
)


def _pod(namespace: str, name: str, spec: Any, mirror: bool) -> Obj:
    annotations = {MIRROR_ANNOTATION: "hash"} if mirror else {}
    metadata = {"name": name, "namespace": namespace, "uid": name, "annotations": annotations}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def _item(pod: Obj, revision: int) -> Item:
    data = with_revision(encode(pod), revision)
    metadata = pod["metadata"]
    return Item(metadata["namespace"], metadata["name"], revision, data, head_of("pods", data))


def _apply(pods: Collection, revision: int, namespace: str, name: str, wanted: Any) -> None:
    """Make the pod as it is wanted; None: gone."""
    previous = pods.get(namespace, name)
    if wanted is not None:
        item = _item(_pod(namespace, name, *wanted), revision)
        pods.apply(Event("ADDED" if previous is None else "MODIFIED", item, previous))
    elif previous is not None:
        pods.apply(Event("DELETED", previous, previous))


def _by_looking(pods: Collection, node: str, namespace: str, resource: str, name: str) -> bool:
    found = [decode(item.data) for item in pods.items(namespace)]
    return any(
        pod["spec"].get("nodeName") == node
        and not is_mirror(pod)
        and (resource, name) in references(pod["spec"], pod["metadata"]["name"])
        for pod in found
    )


def _assert_equal(index: NodeReferences, pods: Collection) -> None:
    for question in product(_NODES, _NAMESPACES, _RESOURCES, (*_NAMES, "default")):
        assert index.has(*question) == _by_looking(pods, *question), question


@given(earlier=_steps, later=_steps)
def test_it_answers_as_a_look_through_all_pods_does_after_every_change(earlier: Any, later: Any) -> None:
    pods = Collection(0)
    for revision, step in enumerate(earlier, 1):
        _apply(pods, revision, *step)
    index = NodeReferences(pods)
    _assert_equal(index, pods)
    for revision, step in enumerate(later, len(earlier) + 1):
        _apply(pods, revision, *step)
        _assert_equal(index, pods)


def test_nothing_is_kept_of_pods_that_are_gone() -> None:
    pods = Collection(0)
    index = NodeReferences(pods)
    spec = {"nodeName": "node-1", "volumes": [{"name": "v", "secret": {"secretName": "x"}}]}
    _apply(pods, 1, "a", "p", (spec, False))
    _apply(pods, 2, "a", "q", (spec, False))
    _apply(pods, 3, "a", "p", None)
    assert index.has("node-1", "a", "secrets", "x")
    _apply(pods, 4, "a", "q", None)
    assert not index.has("node-1", "a", "secrets", "x")
    assert not index._held
    assert not index._of_pod
