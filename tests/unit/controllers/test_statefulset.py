"""StatefulSets: names and order of pods, revisions by partition, and who owns the claims."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.examples import examples
from wellhead.api.meta import Obj, is_deleting, owner_reference
from wellhead.controllers.pods import is_ready, phase
from wellhead.controllers.revisions import new_revision, number, split, surplus, template_of
from wellhead.controllers.statefulset.claims import conflicting, disowned, is_stale, missing
from wellhead.controllers.statefulset.identity import is_member, new_pod, ordinal_of, ordinals, revision_of
from wellhead.controllers.statefulset.plan import (
    Action,
    Blocked,
    CreateClaims,
    CreatePod,
    DeletePod,
    UpdateClaim,
    UpdatePod,
    View,
    plan,
)
from wellhead.controllers.statefulset.status import status_of

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
TIME = "2026-01-01T11:00:00Z"
HASH = "controller.kubernetes.io/hash"


def statefulset(replicas: int = 3, image: str = "x:1", rolling: Obj | None = None, **spec: Any) -> Obj:
    containers = [{"name": "c", "image": image}]
    return {
        "apiVersion": "apps/v1",
        "kind": "StatefulSet",
        "metadata": {"name": "w", "namespace": "default", "uid": "w", "generation": 1},
        "spec": {
            "replicas": replicas,
            "serviceName": "web",
            "selector": {"matchLabels": {"app": "w"}},
            "template": {"metadata": {"labels": {"app": "w"}}, "spec": {"containers": containers}},
            "updateStrategy": {
                "type": "RollingUpdate",
                "rollingUpdate": rolling or {"partition": 0, "maxUnavailable": 1},
            },
            **spec,
        },
    }


def with_claims(**policy: str) -> Obj:
    templates = [{"metadata": {"name": "data"}, "spec": {"accessModes": ["ReadWriteOnce"]}}]
    return statefulset(volumeClaimTemplates=templates, persistentVolumeClaimRetentionPolicy=policy)


def revision(owner: Obj, number: int = 1) -> Obj:
    made = new_revision(owner, number, HASH)
    made["metadata"]["uid"] = made["metadata"]["name"]
    return made


def pod(owner: Obj, ordinal: int) -> Any:
    one = revision(owner)
    made = new_pod(owner, template_of(one), one["metadata"]["name"], ordinal)
    return {**made, "metadata": {**made["metadata"], "uid": f"pod-{ordinal}"}}


def claim(owner: Obj, ordinal: int, *references: Any) -> Obj:
    [made] = missing(owner, pod(owner, ordinal), {})
    made["metadata"]["ownerReferences"] = list(references)
    return made


def test_a_pod_has_its_name_and_number_everywhere() -> None:
    made = pod(with_claims(), 2)
    digest = revision_of(made)
    assert made["metadata"]["labels"] == {
        "app": "w",
        "statefulset.kubernetes.io/pod-name": "w-2",
        "apps.kubernetes.io/pod-index": "2",
        "controller-revision-hash": digest,
    }
    assert digest.startswith("w-")
    spec = made["spec"]
    assert (made["metadata"]["name"], spec["hostname"], spec["subdomain"]) == ("w-2", "w-2", "web")
    assert spec["volumes"] == [{"name": "data", "persistentVolumeClaim": {"claimName": "data-w-2"}}]
    assert missing(with_claims(), made, {})[0]["metadata"]["labels"] == {"app": "w"}


@pytest.mark.parametrize(
    ("name", "member"), [("w-0", True), ("w-x", False), ("v-0", False), ("w-1-0", False)]
)
def test_whose_pod_a_name_is(name: str, member: bool) -> None:
    assert is_member(statefulset(), {"metadata": {"name": name}, "spec": {}}) == member


SET, POD = owner_reference(statefulset()), owner_reference(pod(statefulset(), 1))


@pytest.mark.parametrize(
    ("policy", "replicas", "owners"),
    [
        ({}, 3, []),
        ({"whenDeleted": "Delete"}, 3, [SET]),
        ({"whenDeleted": "Delete"}, 1, [SET]),
        ({"whenScaled": "Delete"}, 3, []),
        ({"whenScaled": "Delete"}, 1, [POD]),
        ({"whenDeleted": "Delete", "whenScaled": "Delete"}, 3, [SET]),
        ({"whenDeleted": "Delete", "whenScaled": "Delete"}, 1, [POD]),
    ],
)
@pytest.mark.parametrize("before", [[], [SET], [POD], [SET, POD]])
def test_who_owns_a_claim_says_with_what_it_goes(
    policy: dict[str, str], replicas: int, owners: list[Obj], before: list[Obj]
) -> None:
    owner = with_claims(**policy)
    owner["spec"]["replicas"] = replicas
    claims = {"data-w-1": claim(owner, 1, *before)}
    changed = disowned(owner, pod(owner, 1), claims)
    after = changed[0] if changed else claims["data-w-1"]
    assert after["metadata"]["ownerReferences"] == owners
    assert bool(changed) == (before != owners)


def test_claims_of_others_are_let_alone() -> None:
    owner = with_claims(whenDeleted="Delete", whenScaled="Delete")
    stranger = {"apiVersion": "v1", "kind": "Backup", "name": "b", "uid": "b", "controller": True}
    claims = {"data-w-1": claim(owner, 1, stranger)}
    assert disowned(owner, pod(owner, 1), claims) == []
    assert conflicting(owner, pod(owner, 1), claims) == ["data-w-1"]
    both = {"data-w-1": claim(owner, 1, stranger, SET)}
    [cleaned] = disowned(owner, pod(owner, 1), both)
    assert cleaned["metadata"]["ownerReferences"] == [stranger]
    earlier = {"data-w-1": claim(owner, 1, {**POD, "uid": "earlier"})}
    assert disowned(owner, pod(owner, 1), earlier) == []
    assert is_stale(owner, pod(owner, 1), earlier)
    assert not is_stale(with_claims(), pod(owner, 1), earlier)


def test_a_pod_waits_for_a_claim_that_is_being_deleted() -> None:
    owner = with_claims()
    one = revision(owner)
    going = claim(owner, 0)
    going["metadata"]["deletionTimestamp"] = TIME
    [action] = plan(View(owner, one, one, [], {"data-w-0": going}, NOW))
    assert isinstance(action, Blocked)
    assert action.why == "pvc data-w-0 is being deleted"


def test_a_pod_that_lost_its_label_or_claim_gets_it_back() -> None:
    owner = with_claims()
    owner["spec"]["replicas"] = 1
    one = revision(owner)
    lost = pod(owner, 0)
    del lost["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"]
    ready: Any = {**lost, "status": condition(ready=True)}
    claims, updated = plan(View(owner, one, one, [ready], {}, NOW))
    assert isinstance(claims, CreateClaims)
    assert isinstance(updated, UpdatePod)
    assert updated.pod["metadata"]["labels"]["statefulset.kubernetes.io/pod-name"] == "w-0"


def condition(*, ready: bool) -> Any:
    entry = {"type": "Ready", "status": str(ready), "lastTransitionTime": TIME}
    return {"phase": "Running", "conditions": [entry]}


class World:
    """A StatefulSet, its revisions, pods and claims, as the API would have them."""

    def __init__(self, owner: Obj) -> None:
        self.owner = owner
        self.pods: dict[str, Any] = {}
        self.claims: dict[str, Obj] = {}
        self.revisions: list[Obj] = []
        self.current = ""

    def view(self) -> View:
        found = split(self.owner, self.revisions)
        if not found.current:
            self.revisions.append(revision(self.owner, found.next_number))
            found = split(self.owner, self.revisions)
        update = found.current[0]
        update["revision"] = max(number(update), found.next_number)
        named = [each for each in self.revisions if each["metadata"]["name"] == self.current]
        current = named[0] if named else update
        return View(self.owner, current, update, list(self.pods.values()), self.claims, NOW)

    def step(self) -> list[Action]:
        """What the controller does once."""
        view = self.view()
        actions = plan(view)
        for action in actions:
            match action:
                case CreatePod(made, claims):
                    self.claims |= {each["metadata"]["name"]: each for each in claims}
                    name = made["metadata"]["name"]
                    assert name not in self.pods
                    self.put(
                        {
                            **made,
                            "metadata": {**made["metadata"], "uid": name},
                            "status": {"phase": "Pending"},
                        }
                    )
                case DeletePod(gone):
                    self.put({**gone, "metadata": {**gone["metadata"], "deletionTimestamp": TIME}})
                case UpdateClaim(changed):
                    self.claims[changed["metadata"]["name"]] = changed
        current, update = (each["metadata"]["name"] for each in (view.current, view.update))
        self.owner["status"] = status_of(self.owner, current, update, list(self.pods.values()), NOW)
        self.current = self.owner["status"]["currentRevision"]
        return actions

    def put(self, changed: Any) -> None:
        self.pods[changed["metadata"]["name"]] = changed

    def becomes(self, name: str, happening: str) -> None:
        there = self.pods[name]
        if happening == "goes" or is_deleting(there):
            del self.pods[name]
        elif happening == "fails":
            self.put({**there, "status": {"phase": "Failed"}})
        elif phase(there) != "Failed":
            self.put({**there, "status": condition(ready=happening == "ready")})

    def settle(self) -> None:
        for _ in range(100):
            before = dict(self.pods)
            actions = self.step()
            for name in list(self.pods):
                self.becomes(name, "ready")
            if not actions and self.pods == before:
                return
        raise AssertionError("it never ends")

    def available(self) -> set[int]:
        return {ordinal_of(each) for each in self.pods.values() if is_ready(each) and not is_deleting(each)}


@settings(max_examples=examples(80), deadline=None)
@given(
    st.sampled_from(["OrderedReady", "Parallel"]),
    st.integers(0, 4),
    st.integers(0, 5),
    st.integers(1, 3),
    st.integers(0, 2),
    st.data(),
)
def test_pods_come_and_go_in_order_and_it_ends_whatever_pods_do(
    policy: str, partition: int, replicas: int, unavailable: int, start: int, data: st.DataObject
) -> None:
    rolling = {"partition": partition, "maxUnavailable": unavailable}
    ordered = policy == "OrderedReady"
    first = statefulset(4, rolling=rolling, podManagementPolicy=policy, ordinals={"start": start})
    world = World(first)
    world.settle()
    old = world.current
    world.owner = statefulset(
        replicas, "x:2", rolling=rolling, podManagementPolicy=policy, ordinals={"start": start}
    )
    world.owner["status"] = first["status"]
    for _ in range(data.draw(st.integers(0, 12))):
        before, there = world.available(), set(world.pods)
        actions = world.step()
        created = [ordinal_of(each.pod) for each in actions if isinstance(each, CreatePod)]
        deleted = [ordinal_of(each.pod) for each in actions if isinstance(each, DeletePod)]
        if ordered:
            assert len(created) <= 1
            assert all(before.issuperset(range(start, number)) for number in created)
            assert not (created and deleted)
        rolled = [number for number in deleted if number in ordinals(world.owner) and number in before]
        assert len(rolled) <= unavailable
        assert all(number >= start + partition for number in rolled)
        assert not {f"w-{number}" for number in created} & there
        if world.pods:
            name = data.draw(st.sampled_from(sorted(world.pods)))
            world.becomes(name, data.draw(st.sampled_from(["ready", "unready", "fails", "goes"])))
    world.settle()
    new = world.view().update["metadata"]["name"]
    assert sorted(map(ordinal_of, world.pods.values())) == list(ordinals(world.owner))
    for each in world.pods.values():
        assert revision_of(each) == (old if ordinal_of(each) < start + partition else new)
    status = world.owner["status"]
    assert status["replicas"] == status["availableReplicas"] == replicas
    assert (status["currentRevision"] == new) == (partition == 0 or replicas == 0)


def test_a_stuck_rollout_stays_stuck_until_the_pod_is_deleted() -> None:
    world = World(statefulset(2))
    world.settle()
    good = world.owner["spec"]["template"]
    world.owner = {**world.owner, "spec": statefulset(2, "bad")["spec"]}
    world.step()
    world.becomes("w-1", "goes")
    world.step()
    world.becomes("w-1", "unready")
    world.owner = {**world.owner, "spec": {**world.owner["spec"], "template": good}}
    assert world.step() == []
    world.becomes("w-1", "goes")
    world.settle()
    assert {revision_of(each) for each in world.pods.values()} == {world.current}
    assert [number(each) for each in split(world.owner, world.revisions).current] == [3]


def test_on_delete_replaces_only_what_others_delete() -> None:
    on_delete = {"type": "OnDelete"}
    world = World(statefulset(2, updateStrategy=on_delete))
    world.settle()
    world.owner = {**world.owner, "spec": statefulset(2, "x:2", updateStrategy=on_delete)["spec"]}
    assert world.step() == []
    world.becomes("w-0", "goes")
    world.settle()
    assert revision_of(world.pods["w-0"]) != revision_of(world.pods["w-1"])


def test_history_keeps_what_is_in_use() -> None:
    revisions = [revision(statefulset(image=f"x:{each}"), each) for each in range(1, 6)]
    assert surplus(revisions, revisions[:1], 2, 2) == revisions[1:3]
    assert surplus(revisions, [], 2, -1) == []


def test_a_template_that_comes_back_is_the_revision_it_was() -> None:
    one, two = (revision(statefulset(image=f"x:{each}"), each) for each in (1, 2))
    found = split(statefulset(image="x:1"), [two, one])
    assert found.current == (one,)
    assert found.next_number == 3
    assert revision(statefulset(image="x:1"))["metadata"]["name"] == one["metadata"]["name"]


def test_a_revision_is_written_as_go_writes_it() -> None:
    held = revision(statefulset())["data"]
    assert list(held["spec"]["template"]) == ["$patch", "metadata", "spec"]
    assert list(held["spec"]["template"]["spec"]["containers"][0]) == ["image", "name"]
