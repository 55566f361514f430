"""Mistakes in NetworkPolicies: networks that name addresses which never arrive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from wellhead.ip import IPAddress
from wellhead.paths.codes import Code
from wellhead.paths.explain import Explanation
from wellhead.paths.parties.base import named, note
from wellhead.paths.way import Decision, Note, Way
from wellhead.policies.policy import Block, Direction, Policy


def policy_warnings(explanation: Explanation, ways: Sequence[Way]) -> Iterator[Note]:
    """What is wrong with policies that concern the target, or that name it."""
    yield from _names_service(explanation)
    yield from _behind_masquerade(explanation, ways)


def _names_service(explanation: Explanation) -> Iterator[Note]:
    """A Service's own address stands in no packet that is judged: by then it is an endpoint's."""
    for policy, field, address in _single_addresses(explanation.policies.all):
        for service in explanation.world.services_at(address):
            sentence = (
                f"{address} is an address of {named(service)}. Where policies are compared it is an "
                f"endpoint's: NetworkPolicy {policy} never meets it."
            )
            decision = Decision(object=f"NetworkPolicy {policy}", field=field, value=str(address))
            do = "Name the pods behind it, by podSelector and namespaceSelector."
            yield note(Code.POLICY_NAMES_SERVICE, sentence, decision, do)


def _single_addresses(policies: Iterable[Policy]) -> Iterator[tuple[Policy, str, IPAddress]]:
    """Blocks of one address, and the field where each stands."""
    for policy in policies:
        for direction, peers in ((Direction.INGRESS, "from"), (Direction.EGRESS, "to")):
            for index, rule in enumerate(policy.rules(direction) or ()):
                for each in rule.peers:
                    if isinstance(each, Block) and each.network.num_addresses == 1:
                        field = f"spec.{direction.lower()}[{index}].{peers}"
                        yield policy, field, each.network.network_address


def _behind_masquerade(explanation: Explanation, ways: Sequence[Way]) -> Iterator[Note]:
    """Clients whom a policy means to let in, and who come with a node's address."""
    facts = explanation.target.facts
    if facts is None:
        return
    for way in ways:
        if way.client.startswith(("pod", "node")):
            continue
        for outcome in way.outcomes:
            codes = {each.code for each in outcome.steps}
            if {Code.POLICY_DROPS, Code.CLUSTER_POLICY} <= codes:
                by = outcome.steps[-1].decided_by
                policy = by.object if by is not None else "A NetworkPolicy"
                sentence = (
                    f"{policy} is compared with a node's address, not with the client's, for clients who "
                    "come in by another node than the endpoint's."
                )
                do = "Set externalTrafficPolicy: Local, or let the nodes' addresses in."
                yield note(
                    Code.POLICY_SEES_NODES,
                    sentence,
                    facts.decision("spec.externalTrafficPolicy", "Cluster"),
                    do,
                )
                return
