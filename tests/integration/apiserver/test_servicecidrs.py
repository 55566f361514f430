"""ServiceCIDRs are where ClusterIPs come from."""

from __future__ import annotations

from ipaddress import ip_address, ip_network
from pathlib import Path

import msgspec
import pytest

from tests.integration.apiserver.cluster import User, serve
from tests.integration.apiserver.objects import SERVICES, service
from tests.integration.apiserver.pki import Pki
from wellhead.api.meta import Obj

CIDRS = "/apis/networking.k8s.io/v1/servicecidrs"


def servicecidr(name: str, *cidrs: str) -> Obj:
    return {
        "apiVersion": "networking.k8s.io/v1",
        "kind": "ServiceCIDR",
        "metadata": {"name": name},
        "spec": {"cidrs": list(cidrs)},
    }


async def test_the_flag_makes_the_default_one(pki: Pki, tmp_path: Path) -> None:
    async with serve(pki, tmp_path, service_ranges="fd00:10::/112,10.0.0.0/16") as cluster:
        admin = await cluster.user()
        default = await admin.get(f"{CIDRS}/kubernetes")
        assert default["spec"]["cidrs"] == ["fd00:10::/112", "10.0.0.0/16"]
        [ready] = default["status"]["conditions"]
        assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "True", "")
        table = (await cluster.ok("get", "servicecidr")).splitlines()
        assert table[0].split() == ["NAME", "CIDRS", "AGE"]
        assert table[1].split()[:2] == ["kubernetes", "fd00:10::/112,10.0.0.0/16"]
        assert "fd00:10::/112" in await cluster.ok("describe", "servicecidr", "kubernetes")


async def test_another_one_extends_the_range(pki: Pki, tmp_path: Path) -> None:
    async with serve(pki, tmp_path, service_ranges="10.0.0.0/29") as cluster:
        admin = await cluster.user()
        for index in range(5):
            await admin.create(SERVICES, service(f"a{index}"))
        full = (await admin.call("POST", SERVICES, service("b"))).expect(500)
        assert "range is full" in full["message"]
        refused = (await admin.call("POST", SERVICES, service("b", clusterIP="192.168.7.3"))).expect(422)
        assert "the provided network does not match the current range" in refused["message"]
        extra = msgspec.json.encode(servicecidr("extra", "192.168.7.0/28")).decode()
        await cluster.ok("apply", "-f", "-", stdin=extra)
        made = await admin.create(SERVICES, service("b"))
        assert ip_address(made["spec"]["clusterIP"]) in ip_network("192.168.7.0/28")
        other = "192.168.7.14" if made["spec"]["clusterIP"] != "192.168.7.14" else "192.168.7.13"
        await admin.create(SERVICES, service("c", clusterIP=other))


async def test_one_that_is_not_ready_gives_nothing(admin: User) -> None:
    made = await admin.create(CIDRS, servicecidr("extra", "192.168.7.0/28"))
    wanted = service("a", clusterIP="192.168.7.3")
    condition = {"type": "Ready", "reason": "", "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
    for status, code in (("False", 422), ("True", 201)):
        await admin.patch(
            f"{CIDRS}/extra/status", {"status": {"conditions": [condition | {"status": status}]}}
        )
        (await admin.call("POST", SERVICES, wanted)).expect(code)
    assert made["spec"] == (await admin.get(f"{CIDRS}/extra"))["spec"]


async def test_a_cluster_may_become_dual_stack_but_not_change_its_ranges(pki: Pki, tmp_path: Path) -> None:
    storage = f"sqlite:{tmp_path}/db"
    ranges = ["10.0.0.0/16", "10.0.0.0/16,fd00:10::/112", "10.0.0.0/16", "10.2.0.0/16"]
    held = [["10.0.0.0/16"], *[["10.0.0.0/16", "fd00:10::/112"]] * 3]
    for given, expected in zip(ranges, held, strict=True):
        async with serve(pki, tmp_path, storage, service_ranges=given) as cluster:
            admin = await cluster.user()
            assert (await admin.get(f"{CIDRS}/kubernetes"))["spec"]["cidrs"] == expected
            assert (await admin.get(f"{SERVICES}/kubernetes"))["spec"]["clusterIP"] == "10.0.0.1"


@pytest.mark.parametrize(
    ("cidrs", "problem"),
    [
        ([], "spec.cidrs: Required value: at least one CIDR required"),
        (["10.1.0.0/16", "10.2.0.0/16"], "may specify no more than one IP for each IP family"),
        (["10.1.0.0/16", "fd00::/64", "fd01::/64"], "may only hold up to 2 values"),
        (["10.1.0.0"], "must be a valid CIDR value"),
        (["10.1.0.1/16"], "must not have bits set beyond the prefix length"),
        (["FD00::/64"], 'must be in canonical form ("fd00::/64")'),
        (["::ffff:10.0.0.0/112"], "must not have an IPv4-mapped IPv6 address"),
    ],
)
async def test_what_is_refused(admin: User, cidrs: list[str], problem: str) -> None:
    refused = (await admin.call("POST", CIDRS, servicecidr("extra", *cidrs))).expect(422)
    assert problem.replace('"', '\\"') in msgspec.json.encode(refused["message"]).decode()


async def test_the_networks_stay(admin: User) -> None:
    await admin.create(CIDRS, servicecidr("extra", "10.1.0.0/16"))
    path = f"{CIDRS}/extra"
    for cidrs in (["10.2.0.0/16"], ["fd00::/64", "10.1.0.0/16"]):
        changed = await admin.call("PATCH", path, {"spec": {"cidrs": cidrs}}, content_type=MERGE)
        assert "field is immutable" in changed.expect(422)["message"]
    await admin.patch(path, {"spec": {"cidrs": ["10.1.0.0/16", "fd00::/64"]}})
    reduced = await admin.call("PATCH", path, {"spec": {"cidrs": ["10.1.0.0/16"]}}, content_type=MERGE)
    assert "field is immutable" in reduced.expect(422)["message"]


MERGE = "application/merge-patch+json"
