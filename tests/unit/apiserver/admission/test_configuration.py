"""What plugins are told by a file: read strictly, and what it means."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from wellhead.api.pod_security.configuration import configuration
from wellhead.api.pod_security.levels import Policies, Policy, policies
from wellhead.api.quota.limited import uncovered
from wellhead.api.resources import PERSISTENTVOLUMECLAIMS, PODS, SERVICES
from wellhead.apiserver.admission.configuration import ConfigurationError, read_configuration
from wellhead.apiserver.admission.event_rate_limit import Bucket, Limit, limits
from wellhead.apiserver.admission.resource_quota import limited_resources

NOW = datetime(2026, 11, 28, tzinfo=UTC)
POD_SECURITY = {
    "apiVersion": "pod-security.admission.config.k8s.io/v1",
    "kind": "PodSecurityConfiguration",
    "defaults": {"enforce": "baseline"},
}


def written(directory: Path, *plugins: Any, **changed: Any) -> Path:
    document = {"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration"}
    path = directory / "admission.yaml"
    path.write_text(yaml.safe_dump({**document, "plugins": list(plugins), **changed}))
    return path


def test_a_plugin_s_configuration_is_there_or_in_a_file_beside(tmp_path: Path) -> None:
    path = written(tmp_path, {"name": "PodSecurity", "configuration": POD_SECURITY})
    assert read_configuration(path) == {"PodSecurity": POD_SECURITY}
    (tmp_path / "pod-security.yaml").write_text(yaml.safe_dump(POD_SECURITY))
    path = written(tmp_path, {"name": "PodSecurity", "path": "pod-security.yaml"})
    assert read_configuration(path) == {"PodSecurity": POD_SECURITY}


@pytest.mark.parametrize(
    ("plugin", "said"),
    [
        ({"name": "ImagePolicyWebhook", "path": "x"}, "can't be configured here"),
        ({"name": "PodSecurity", "configuration": {"kind": "Pod"}}, "PodSecurityConfiguration of pod-sec"),
        ({"name": "PodSecurity", "configuration": []}, "PodSecurityConfiguration of pod-security"),
    ],
)
def test_what_nobody_reads_is_refused(tmp_path: Path, plugin: Any, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        read_configuration(written(tmp_path, plugin))


def test_another_kind_of_file_is_refused(tmp_path: Path) -> None:
    for changed in ({"kind": "Pod"}, {"plugins": "x"}, {"plugins": ["x"]}):
        with pytest.raises(ConfigurationError):
            read_configuration(written(tmp_path, **changed))


def test_pod_security_s_defaults_count_where_no_label_does() -> None:
    found, causes = configuration(
        {"defaults": {"enforce": "baseline", "enforce-version": "v1.30", "warn": "restricted"}}
    )
    assert causes == []
    assert found.defaults == Policies(Policy("baseline", 30), Policy(), Policy("restricted"))
    assert policies({}, found.defaults)[0] == found.defaults
    labels = {"pod-security.kubernetes.io/enforce": "privileged"}
    wanted, _ = policies(labels, found.defaults)
    # A version and a mode that no label names stay the defaults'.
    assert (wanted.enforce, wanted.warn) == (Policy("privileged", 30), Policy("restricted"))


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"defaults": {"enforce": "strict"}}, "defaults.enforce"),
        ({"defaults": {"audit-version": "1.2"}}, "defaults.audit-version"),
        ({"defaults": {"level": "baseline"}}, "defaults.level"),
        ({"exemptions": {"namespaces": ["A"]}}, "exemptions.namespaces[0]"),
        ({"exemptions": {"usernames": [""]}}, "exemptions.usernames[0]"),
        ({"exemptions": {"runtimeClasses": ["a", "a"]}}, "exemptions.runtimeClasses[1]"),
        ({"exempt": {}}, "exempt"),
    ],
)
def test_pod_security_s_configuration_is_checked(told: Any, field: str) -> None:
    assert [cause.field for cause in configuration(told)[1]] == [field]


def quota(hard: dict[str, str], **spec: Any) -> Any:
    return {"metadata": {"name": "q"}, "spec": spec, "status": {"hard": hard}}


def test_limited_resources_need_a_quota_that_speaks_of_them() -> None:
    limited = [{"resource": "persistentvolumeclaims", "matchContains": ["requests.storage"]}]
    claim = {"metadata": {}, "spec": {"resources": {"requests": {"storage": "1Gi"}}}}

    def said(*quotas: Any) -> str:
        return uncovered(limited, quotas, PERSISTENTVOLUMECLAIMS, claim, NOW)

    assert said() == "insufficient quota to consume: requests.storage"
    assert said(quota({"pods": "1"})) != ""
    assert said(quota({"requests.storage": "5Gi"})) == ""
    service = {"metadata": {}, "spec": {"type": "ClusterIP"}}
    assert uncovered(limited, (), SERVICES, service, NOW) == ""


def test_limited_scopes_need_a_quota_with_the_scope() -> None:
    scope = {"scopeName": "PriorityClass", "operator": "In", "values": ["high"]}
    limited = [{"resource": "pods", "matchScopes": [scope]}]
    pod = {"metadata": {}, "spec": {"priorityClassName": "high", "containers": []}}

    def said(*quotas: Any) -> str:
        return uncovered(limited, quotas, PODS, pod, NOW)

    assert said() == "insufficient quota to match these scopes: [{PriorityClass In [high]}]"
    assert said(quota({"pods": "1"})) != ""
    assert said(quota({"pods": "1"}, scopeSelector={"matchExpressions": [scope]})) == ""
    pod["spec"] = {"containers": []}
    assert said() == ""


@pytest.mark.parametrize("told", [{"limited": []}, {"limitedResources": [{"resource": ""}]}])
def test_quota_s_configuration_is_checked(told: Any) -> None:
    with pytest.raises(ConfigurationError):
        limited_resources(told)


def test_a_bucket_gives_a_burst_then_so_many_a_second() -> None:
    bucket = Bucket(2, 3)
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(100.5) for _ in range(2)] == [True, False]
    assert [bucket.take(1000.0) for _ in range(4)] == [True, True, True, False]


def test_a_limit_counts_each_key_by_itself_and_remembers_so_many() -> None:
    limit = Limit({"type": "User", "qps": 1, "burst": 1, "cacheSize": 2})
    assert [limit.takes(key, 0.0) for key in "aab"] == [True, False, True]
    assert limit.takes("c", 0.0)  # and `a` is forgotten
    assert limit.takes("a", 0.0)


@pytest.mark.parametrize(
    "told",
    [
        {},
        {"limits": [{"type": "All", "qps": 1, "burst": 1}]},
        {"limits": [{"type": "Server", "qps": 0, "burst": 1}]},
        {"limits": [{"type": "User", "qps": 1, "burst": 1, "cacheSize": -1}]},
        {"limits": [{"type": "User", "qps": 1, "burst": 1}], "x": 1},
    ],
)
def test_the_limits_of_events_are_checked(told: Any) -> None:
    with pytest.raises(ConfigurationError):
        limits(told)
