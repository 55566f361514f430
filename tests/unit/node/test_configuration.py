"""The agent's settings, from a KubeletConfiguration."""

from __future__ import annotations

from typing import Any

import pytest

from wellhead.images import access
from wellhead.node import configuration
from wellhead.node.configuration import ConfigurationError, ShutdownGracePeriod
from wellhead.node.eviction import thresholds


def parsed(**fields: Any) -> configuration.Configuration:
    return configuration.parse(
        {"apiVersion": configuration.API_VERSION, "kind": configuration.KIND, **fields}
    )


def test_without_a_file_upstreams_defaults_hold_but_for_what_nodes_share() -> None:
    found = configuration.default()
    assert {each.signal for each in found.eviction.thresholds} == set(configuration.EVICTION_HARD)
    assert (found.logs.max_size, found.logs.max_files, found.logs.interval) == (10 << 20, 5, 10.0)
    assert found.shutdown == ()
    assert found.image_access.name == access.NEVER_VERIFY_PRELOADED
    assert found.shown["evictionHard"]["nodefs.available"] == "256Mi"
    assert configuration.parse(found.shown) == found  # what is told can be given


def test_what_is_said_of_hard_eviction_replaces_all_of_it_unless_merged() -> None:
    said = {"memory.available": "5%"}
    assert [each.signal for each in parsed(evictionHard=said).eviction.thresholds] == [thresholds.MEMORY]
    merged = parsed(evictionHard=said, mergeDefaultEvictionSettings=True)
    assert len(merged.eviction.thresholds) == len(configuration.EVICTION_HARD) + 1
    assert not parsed(evictionHard={"nodefs.available": "0%"}).eviction.thresholds
    assert not parsed(evictionHard={}).eviction.thresholds


def test_the_time_to_shut_down_is_divided_or_given_by_priority() -> None:
    by_both = parsed(shutdownGracePeriod="30s", shutdownGracePeriodCriticalPods="10s").shutdown
    assert by_both == (ShutdownGracePeriod(0, 20), ShutdownGracePeriod(2_000_000_000, 10))
    entries = [
        {"priority": 1000, "shutdownGracePeriodSeconds": 5},
        {"priority": 0, "shutdownGracePeriodSeconds": 20},
    ]
    by_priority = parsed(shutdownGracePeriodByPodPriority=entries).shutdown
    assert by_priority == (ShutdownGracePeriod(0, 20), ShutdownGracePeriod(1000, 5))


@pytest.mark.parametrize(
    ("fields", "names"),
    [
        ({"kind": "Kubelet"}, "kind"),
        ({"apiVersion": "v1"}, "apiVersion"),
        ({"maxPods": 5}, "maxPods"),
        ({"containerLogMaxFiles": "5"}, "containerLogMaxFiles"),
        ({"containerLogMaxFiles": 1}, "containerLogMaxFiles"),
        ({"containerLogMaxSize": "much"}, "containerLogMaxSize"),
        ({"containerLogMaxSize": "0"}, "containerLogMaxSize"),
        ({"containerLogMonitorInterval": "1s"}, "containerLogMonitorInterval"),
        ({"evictionHard": {"memory": "1Mi"}}, "evictionHard: 'memory' is no signal"),
        ({"evictionHard": {"memory.available": "-1Mi"}}, "evictionHard: memory.available"),
        ({"evictionHard": {"memory.available": "101%"}}, "at most 100"),
        ({"evictionSoft": {"memory.available": "1Mi"}}, "evictionSoftGracePeriod: there is none for"),
        ({"evictionSoftGracePeriod": {"memory.available": "0s"}}, "evictionSoftGracePeriod"),
        ({"evictionMinimumReclaim": {"memory.available": "x"}}, "evictionMinimumReclaim"),
        ({"evictionPressureTransitionPeriod": "-1s"}, "evictionPressureTransitionPeriod"),
        ({"evictionMaxPodGracePeriod": -1}, "evictionMaxPodGracePeriod"),
        ({"shutdownGracePeriod": "10s", "shutdownGracePeriodCriticalPods": "20s"}, "must be <="),
        ({"shutdownGracePeriod": "500ms"}, "at least 1 second"),
        ({"shutdownGracePeriod": "soon"}, "shutdownGracePeriod: 'soon'"),
        (
            {"shutdownGracePeriod": "5s", "shutdownGracePeriodByPodPriority": [{"priority": 1}]},
            "cannot be set beside",
        ),
        ({"imagePullCredentialsVerificationPolicy": "Sometimes"}, "is none of"),
        ({"preloadedImagesVerificationAllowlist": ["x/*"]}, "only with the policy"),
    ],
)
def test_what_the_agent_does_not_do_is_refused_by_name(fields: dict[str, Any], names: str) -> None:
    with pytest.raises(ConfigurationError, match=names):
        parsed(**fields)


@pytest.mark.parametrize("document", [None, [], "x", 5])
def test_something_else_is_no_configuration(document: object) -> None:
    with pytest.raises(ConfigurationError):
        configuration.parse(document)
