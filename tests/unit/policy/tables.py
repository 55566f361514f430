"""Tables that a ruleset's transactions make."""

from __future__ import annotations

from wellhead.ip import Family
from wellhead.linux.nftables.content import difference
from wellhead.linux.nftables.fake import FakeTable
from wellhead.linux.nftables.objects import ElementKey
from wellhead.policies.cluster_policies import ClusterSubject
from wellhead.policies.followed import Changes
from wellhead.policies.node_policies import Subject
from wellhead.policy.ruleset import Ruleset


class Tables:
    """Both families'."""

    def __init__(self) -> None:
        self.of = {family: FakeTable() for family in Family}
        self.rulesets = {family: Ruleset(family) for family in Family}
        for family, ruleset in self.rulesets.items():
            self.of[family].commit(difference(ruleset, ruleset.elements(), self.of[family].content()))

    def hear(self, changes: Changes[Subject], cluster: Changes[ClusterSubject] | None = None) -> None:
        for family, ruleset in self.rulesets.items():
            if transaction := ruleset.update(changes, cluster):
                self.of[family].commit(transaction)

    def elements(self) -> dict[Family, dict[ElementKey, object]]:
        return {family: each.elements for family, each in self.of.items()}
