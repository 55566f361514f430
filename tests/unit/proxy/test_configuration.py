"""KubeProxyConfiguration files: what is read, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from wellhead.api.duration import Duration
from wellhead.proxy.configuration.load import ConfigurationError, from_document, from_file, to_document
from wellhead.proxy.configuration.schema import API_VERSION, KIND, KubeProxyConfiguration
from wellhead.proxy.configuration.settings import SETTINGS, without_effect

# As kubeadm 1.36 writes it into the ConfigMap kube-proxy: every field, with Go's zero values and nulls.
KUBEADM = """
apiVersion: kubeproxy.config.k8s.io/v1alpha1
bindAddress: 0.0.0.0
bindAddressHardFail: false
clientConnection:
  acceptContentTypes: ""
  burst: 0
  contentType: ""
  kubeconfig: /var/lib/kube-proxy/kubeconfig.conf
  qps: 0
clusterCIDR: 10.244.0.0/16
configSyncPeriod: 0s
conntrack:
  maxPerCore: null
  min: null
  tcpBeLiberal: false
  tcpCloseWaitTimeout: null
  tcpEstablishedTimeout: null
  udpStreamTimeout: 0s
  udpTimeout: 0s
detectLocal:
  bridgeInterface: ""
  interfaceNamePrefix: ""
detectLocalMode: ""
enableProfiling: false
healthzBindAddress: ""
hostnameOverride: ""
iptables:
  localhostNodePorts: null
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
ipvs:
  excludeCIDRs: null
  minSyncPeriod: 0s
  scheduler: ""
  strictARP: false
  syncPeriod: 0s
  tcpFinTimeout: 0s
  tcpTimeout: 0s
  udpTimeout: 0s
kind: KubeProxyConfiguration
logging:
  flushFrequency: 0
  options:
    json:
      infoBufferSize: "0"
    text:
      infoBufferSize: "0"
  verbosity: 0
metricsBindAddress: ""
mode: ""
nftables:
  masqueradeAll: false
  masqueradeBit: null
  minSyncPeriod: 0s
  syncPeriod: 0s
nodePortAddresses: null
oomScoreAdj: null
portRange: ""
showHiddenMetricsForVersion: ""
winkernel:
  enableDSR: false
  forwardHealthCheckVip: false
  networkName: ""
  rootHnsEndpointName: ""
  sourceVip: ""
"""


def configuration(**fields: Any) -> KubeProxyConfiguration:
    return from_document({"apiVersion": API_VERSION, "kind": KIND, **fields})


def problems(**fields: Any) -> tuple[tuple[str, str], ...]:
    with pytest.raises(ConfigurationError) as caught:
        configuration(**fields)
    return caught.value.problems


def test_what_kubeadm_writes_means_the_defaults() -> None:
    found = from_document(yaml.safe_load(KUBEADM))
    assert found == configuration(
        clientConnection={"kubeconfig": "/var/lib/kube-proxy/kubeconfig.conf"}, clusterCIDR="10.244.0.0/16"
    )
    assert not list(without_effect(found))
    assert (found.mode, found.iptables.sync_period, found.iptables.masquerade_bit) == (
        "iptables",
        Duration(30),
        14,
    )


def test_what_is_written_out_is_read_back() -> None:
    found = configuration(mode="nftables", nftables={"syncPeriod": "1m"}, featureGates={"A": True})
    assert from_document(to_document(found)) == found


def test_a_zero_counts_where_go_has_a_pointer() -> None:
    found = configuration(
        iptables={"masqueradeBit": 0, "localhostNodePorts": False},
        conntrack={"maxPerCore": 0, "tcpCloseWaitTimeout": "0s"},
        oomScoreAdj=0,
    )
    assert (found.iptables.masquerade_bit, found.iptables.localhost_node_ports) == (0, False)
    assert (found.conntrack.max_per_core, found.conntrack.tcp_close_wait_timeout) == (0, Duration(0))
    assert found.oom_score_adj == 0


def test_all_unknown_fields_are_named_by_their_paths() -> None:
    found = dict(problems(modus="x", iptables={"masqeradeAll": True}, logging={"options": {"yaml": {}}}))
    assert found == {
        "modus": "there is no such field",
        "iptables.masqeradeAll": "there is no such field; masqueradeAll is meant?",
        "logging.options.yaml": "there is no such field",
    }


@pytest.mark.parametrize(
    ("fields", "name", "what"),
    [
        ({"iptables": {"syncPeriod": 30}}, "iptables.syncPeriod", "30 is not a duration such as 30s"),
        ({"iptables": {"syncPeriod": "30"}}, "iptables.syncPeriod", "'30' is not a duration"),
        ({"iptables": {"masqueradeBit": 32}}, "iptables.masqueradeBit", "Expected `int` <= 31"),
        ({"iptables": []}, "iptables", "Expected `object`, got `array`"),
        ({"mode": 1}, "mode", "Expected `str`, got `int`"),
        ({"bindAddressHardFail": "yes"}, "bindAddressHardFail", "Expected `bool`, got `str`"),
        ({"nodePortAddresses": [1]}, "nodePortAddresses[0]", "Expected `str`, got `int`"),
        ({"oomScoreAdj": -1001}, "oomScoreAdj", "Expected `int` >= -1000"),
        (
            {"apiVersion": "kubeproxy.config.k8s.io/v1"},
            "apiVersion",
            "is not kubeproxy.config.k8s.io/v1alpha1",
        ),
        ({"kind": "KubeletConfiguration"}, "kind", "'KubeletConfiguration' is not KubeProxyConfiguration"),
    ],
)
def test_a_wrong_value_is_named_by_its_path(fields: dict[str, Any], name: str, what: str) -> None:
    [(found, said)] = problems(**fields)
    assert (found, what in said) == (name, True), said


@pytest.mark.parametrize("text", ["", "[]", "just words", "{}"])
def test_a_file_that_is_no_configuration_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "config"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=KIND + "|kubeproxy"):
        from_file(file)


def test_a_field_that_is_there_twice_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config"
    file.write_text(f"apiVersion: {API_VERSION}\nkind: {KIND}\nmode: iptables\nmode: nftables\n")
    with pytest.raises(ConfigurationError, match="key 'mode' is there twice"):
        from_file(file)
    for content in (b"a: [\n", b"9" * 5000, b"- " * 5000, b"\xff", b" " * 20_000):
        file.write_bytes(content)
        with pytest.raises(ConfigurationError, match="not YAML"):
            from_file(file)


@pytest.mark.parametrize(
    ("fields", "healthz", "metrics"),
    [
        ({}, "0.0.0.0:10256", "127.0.0.1:10249"),
        ({"bindAddress": "::"}, "[::]:10256", "[::1]:10249"),
        ({"healthzBindAddress": "10.0.0.1"}, "10.0.0.1:10256", "127.0.0.1:10249"),
        ({"healthzBindAddress": "fd00::1", "metricsBindAddress": "[::]"}, "[fd00::1]:10256", "[::]:10249"),
        ({"metricsBindAddress": "0.0.0.0:9"}, "0.0.0.0:10256", "0.0.0.0:9"),
        ({"metricsBindAddress": "[::]:9"}, "0.0.0.0:10256", "[::]:9"),
    ],
)
def test_listening_addresses_are_completed(fields: dict[str, Any], healthz: str, metrics: str) -> None:
    found = configuration(**fields)
    assert (found.healthz_bind_address, found.metrics_bind_address) == (healthz, metrics)


def test_values_without_effect_are_told() -> None:
    found = configuration(
        ipvs={"scheduler": "lc", "syncPeriod": "30s", "tcpTimeout": "5s"},
        winkernel={"enableDSR": True},
        clientConnection={"qps": 50, "contentType": "application/vnd.kubernetes.protobuf"},
        featureGates={"NFTablesNetlink": True},
        showHiddenMetricsForVersion="1.36",
    )
    told = [each.partition(" has no effect")[0] for each in without_effect(found)]
    assert sorted(told) == [
        "clientConnection.qps",
        "featureGates.NFTablesNetlink",
        "ipvs.scheduler",
        "ipvs.tcpTimeout",
        "showHiddenMetricsForVersion",
        "winkernel.enableDSR",
    ]


def test_every_field_is_in_the_table_once() -> None:
    def leaves(document: dict[str, Any], path: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
        found: set[tuple[str, ...]] = set()
        for name, value in document.items():
            here = (*path, name)
            found |= leaves(value, here) if isinstance(value, dict) and value else {here}
        return found

    names = [each.path for each in SETTINGS]
    assert len(set(names)) == len(names)
    assert set(names) == leaves(to_document(KubeProxyConfiguration())) - {("apiVersion",), ("kind",)}


def test_a_key_that_is_no_scalar_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "config.yaml"
    path.write_text("? {a: b}\n: c\n")
    with pytest.raises(ConfigurationError, match="is no scalar"):
        from_file(path)
