"""Questions are explain's, also of a Service as it might be."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.page import objects
from wellhead.page.asking import answer, edited
from wellhead.page.errors import CannotAsk
from wellhead.page.values import Answered, Ask, Edit
from wellhead.paths.explain import Question
from wellhead.paths.report import explain
from wellhead.paths.way import Disposition
from wellhead.paths.world import Decoded, World

CLIENT = "198.51.100.79"


def world(*, policy: str = "Cluster", kind: str = "LoadBalancer", class_: str = "") -> World:
    pod = objects.pod("web-0", 1, 2, app="web")
    found = [
        *(objects.node(number) for number in (1, 2, 3)),
        pod,
        objects.service("web", 1, kind=kind, policy=policy, vip="203.0.113.1", class_=class_),
        objects.endpoint_slice("web", [pod]),
    ]
    return World([Decoded(each) for each in found], is_cluster=True)


def ask(of: World, **changes: Any) -> Answered:
    edit = Edit(service="default/web", changes=changes) if changes else None
    return answer(of, Ask(target="svc/web", clients=(CLIENT,), edit=edit))


def test_the_answer_is_explains() -> None:
    found = ask(world())
    assert found.report == explain(world(), Question("svc/web", "", (CLIENT,)))
    assert found.text.startswith(f"{CLIENT} → 203.0.113.1:80")
    assert found.edited is None
    assert found.differences is None


def test_an_edited_policy_is_answered_for_beside_todays() -> None:
    found = ask(world(), externalTrafficPolicy="Local")
    assert found.edited is not None
    assert found.report == ask(world()).report
    assert found.edited.report == ask(world(policy="Local")).report
    assert found.differences
    assert found.summary is not None
    assert found.summary.splitlines()[0].startswith(f"~ {CLIENT} → 203.0.113.1:80")


def test_what_changes_nothing_says_so() -> None:
    found = ask(world(), externalTrafficPolicy="Cluster")
    assert found.differences == ()
    assert found.summary == "Nothing changes for anybody."


def test_the_annotation_keeps_the_client() -> None:
    found = ask(world(), preserveClientIP=True)
    assert found.edited is not None
    assert {each.source for each in found.edited.report.ways[0].outcomes} == {CLIENT}


def test_another_class_is_another_balancer() -> None:
    found = ask(world(), loadBalancerClass="wellhead.dev/proxy")
    assert found.edited is not None
    [outcome, *_] = found.edited.report.ways[0].outcomes
    assert outcome.disposition is Disposition.DELIVERED
    assert any(each.what == "terminate" for each in outcome.steps)
    service = edited(
        world(), Edit(service="default/web", changes={"loadBalancerClass": "wellhead.dev/proxy"})
    )
    assert service["status"]["loadBalancer"]["ingress"][0]["ipMode"] == "Proxy"


def test_a_service_under_local_gets_the_health_check_that_it_would_get() -> None:
    changed = edited(world(), Edit(service="default/web", changes={"externalTrafficPolicy": "Local"}))
    assert changed["spec"]["healthCheckNodePort"]


def test_the_object_itself_is_left_alone() -> None:
    of = world()
    before = answer(of, Ask(target="svc/web")).text
    ask(of, externalTrafficPolicy="Local", preserveClientIP=True, loadBalancerClass="wellhead.dev/proxy")
    assert answer(of, Ask(target="svc/web")).text == before


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"externalTrafficPolicy": "Nowhere"}, "one of Cluster, Local"),
        ({"externalTrafficPolicy": True}, "one of Cluster, Local"),
        ({"preserveClientIP": "yes"}, "true or false"),
        ({"loadBalancerClass": None}, "is a text"),
        ({"type": "NodePort"}, "can't be edited here"),
    ],
)
def test_what_cannot_be_edited_is_refused(changes: dict[str, Any], why: str) -> None:
    with pytest.raises(CannotAsk, match=why):
        ask(world(), **changes)


@pytest.mark.parametrize("field", ["externalTrafficPolicy", "loadBalancerClass"])
def test_what_the_type_has_no_use_for_is_refused(field: str) -> None:
    with pytest.raises(CannotAsk, match="is for Services"):
        ask(world(kind="ClusterIP"), **{field: "Local"})


@pytest.mark.parametrize(
    ("question", "why"),
    [
        (Ask(target="svc/nothing"), "there is no Service 'nothing'"),
        (Ask(target="svc/web", clients=("pod/nobody",)), "there is no pod 'nobody'"),
        (Ask(target="svc/web", node="node-9"), "there is no node 'node-9'; there are node-1, node-2, node-3"),
        (Ask(target="svc/web", port=0), "0 is no port"),
        (Ask(target="svc/web", clients=("outside",) * 51), "too many"),
        (Ask(target="svc/web", edit=Edit(service="default/api", changes={})), "there is no Service"),
    ],
)
def test_a_question_about_nothing_is_refused_with_what_there_is(question: Ask, why: str) -> None:
    with pytest.raises(CannotAsk, match=why):
        answer(world(), question)


_TEXTS = st.one_of(
    st.text(max_size=20),
    st.sampled_from(
        ["svc/web", "pod/web-0", "203.0.113.1:80", "[::1]:80", "node/node-1", "outside", "svc/", "/"]
    ),
)


@given(
    target=_TEXTS,
    namespace=_TEXTS,
    clients=st.lists(_TEXTS, max_size=2),
    port=st.none() | st.integers(-1, 70_000),
    node=st.sampled_from(["", "node-1", "node-9"]),
    changes=st.dictionaries(_TEXTS, st.none() | st.booleans() | _TEXTS, max_size=1),
)
def test_whatever_is_asked_is_answered_or_refused(
    target: str,
    namespace: str,
    clients: list[str],
    port: int | None,
    node: str,
    changes: dict[str, str | bool | None],
) -> None:
    edit = Edit(service="default/web", changes=changes) if changes else None
    question = Ask(
        target=target, namespace=namespace, clients=tuple(clients), port=port, node=node, edit=edit
    )
    with contextlib.suppress(CannotAsk):
        assert answer(world(), question).text
