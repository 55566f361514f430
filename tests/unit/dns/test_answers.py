"""What each name of the cluster domain is answered with."""

from __future__ import annotations

import dns.flags
import pytest

from tests.unit.dns.world import ask, endpoint, endpoint_slice, external, responder, service, told
from wellhead.dns.responder import Responder

_PORTS = [
    {"name": "http", "protocol": "TCP", "port": 80},
    {"name": "dns", "protocol": "UDP", "port": 53},
]


@pytest.fixture(scope="module")
def shop() -> Responder:
    return responder(
        service("web", "10.0.3.7", "fd00:10::3:7", ports=_PORTS),
        service("db"),
        endpoint_slice("db", endpoint("10.244.1.5", "db-0"), endpoint("10.244.2.6"), port=5432),
        endpoint_slice("db", endpoint("fd00:10:244:1::5", "db-0"), port=5432),
        service("starting"),
        endpoint_slice("starting", endpoint("10.244.1.9", "one", ready=False)),
        service("unsure"),
        endpoint_slice("unsure", endpoint("10.244.1.10", ready=None)),
        endpoint_slice("web", endpoint("10.244.1.11", "first")),
        external("docs", "Docs.Example.com"),
        external("alias", "web.shop.svc.cluster.local"),
        external("dangling", "none.shop.svc.cluster.local"),
        external("literal", "192.0.2.1"),
        external("round", "round.shop.svc.cluster.local"),
        namespaces=("shop", "empty"),
    )


_NOTHING: list[str] = []
_SRV_DB_0 = "0 50 5432 db-0.db.shop.svc.cluster.local."


@pytest.mark.parametrize(
    ("name", "type", "code", "answers"),
    [
        ("web.shop.svc", "A", "NOERROR", ["A 10.0.3.7"]),
        ("web.shop.svc", "AAAA", "NOERROR", ["AAAA fd00:10::3:7"]),
        ("web.shop.svc", "TXT", "NOERROR", _NOTHING),
        ("web.shop.svc", "MX", "NOERROR", _NOTHING),
        ("web.shop.svc", "ANY", "NOERROR", _NOTHING),
        ("web.shop.svc", "TYPE65280", "NOERROR", _NOTHING),
        ("web.shop.svc", "CNAME", "NOERROR", _NOTHING),
        (
            "web.shop.svc",
            "SRV",
            "NOERROR",
            ["SRV 0 50 53 web.shop.svc.cluster.local.", "SRV 0 50 80 web.shop.svc.cluster.local."],
        ),
        ("_http._tcp.web.shop.svc", "SRV", "NOERROR", ["SRV 0 100 80 web.shop.svc.cluster.local."]),
        ("_dns._udp.web.shop.svc", "SRV", "NOERROR", ["SRV 0 100 53 web.shop.svc.cluster.local."]),
        ("_http._udp.web.shop.svc", "SRV", "NXDOMAIN", _NOTHING),
        ("_none._tcp.web.shop.svc", "SRV", "NXDOMAIN", _NOTHING),
        ("http.tcp.web.shop.svc", "SRV", "NXDOMAIN", _NOTHING),
        ("_http._tcp.web.shop.svc", "A", "NOERROR", ["A 10.0.3.7"]),
        ("first.web.shop.svc", "A", "NOERROR", ["A 10.244.1.11"]),
        ("none.shop.svc", "A", "NXDOMAIN", _NOTHING),
        ("none.shop.svc", "AAAA", "NXDOMAIN", _NOTHING),
        ("db.shop.svc", "A", "NOERROR", ["A 10.244.1.5", "A 10.244.2.6"]),
        ("db.shop.svc", "AAAA", "NOERROR", ["AAAA fd00:10:244:1::5"]),
        ("db-0.db.shop.svc", "A", "NOERROR", ["A 10.244.1.5"]),
        ("db-0.db.shop.svc", "AAAA", "NOERROR", ["AAAA fd00:10:244:1::5"]),
        ("10-244-2-6.db.shop.svc", "A", "NOERROR", ["A 10.244.2.6"]),
        ("10-244-2-6.db.shop.svc", "AAAA", "NOERROR", _NOTHING),
        ("10-244-1-5.db.shop.svc", "A", "NXDOMAIN", _NOTHING),
        ("db-1.db.shop.svc", "A", "NXDOMAIN", _NOTHING),
        (
            "_http._tcp.db.shop.svc",
            "SRV",
            "NOERROR",
            [f"SRV {_SRV_DB_0}", "SRV 0 50 5432 10-244-2-6.db.shop.svc.cluster.local."],
        ),
        ("starting.shop.svc", "A", "NXDOMAIN", _NOTHING),
        ("one.starting.shop.svc", "A", "NXDOMAIN", _NOTHING),
        ("unsure.shop.svc", "A", "NOERROR", ["A 10.244.1.10"]),
        ("docs.shop.svc", "A", "NOERROR", ["CNAME Docs.Example.com."]),
        ("docs.shop.svc", "CNAME", "NOERROR", ["CNAME Docs.Example.com."]),
        ("a.docs.shop.svc", "A", "NXDOMAIN", _NOTHING),
        ("alias.shop.svc", "A", "NOERROR", ["A 10.0.3.7", "CNAME web.shop.svc.cluster.local."]),
        ("dangling.shop.svc", "A", "NXDOMAIN", ["CNAME none.shop.svc.cluster.local."]),
        ("literal.shop.svc", "A", "NXDOMAIN", _NOTHING),
        ("10-244-1-5.shop.pod", "A", "NOERROR", ["A 10.244.1.5"]),
        ("10-244-1-5.shop.pod", "AAAA", "NOERROR", _NOTHING),
        ("fd00-10-244-1--5.shop.pod", "AAAA", "NOERROR", ["AAAA fd00:10:244:1::5"]),
        ("10-244-1-5.none.pod", "A", "NXDOMAIN", _NOTHING),
        ("10-244-1-256.shop.pod", "A", "NXDOMAIN", _NOTHING),
        ("a.10-244-1-5.shop.pod", "A", "NXDOMAIN", _NOTHING),
        ("empty.svc", "A", "NOERROR", _NOTHING),
        ("empty.pod", "A", "NOERROR", _NOTHING),
        ("none.svc", "A", "NXDOMAIN", _NOTHING),
        ("svc", "A", "NOERROR", _NOTHING),
        ("pod", "A", "NOERROR", _NOTHING),
        ("dns-version", "TXT", "NOERROR", ['TXT "1.1.0"']),
        ("dns-version", "A", "NOERROR", _NOTHING),
        ("x.dns-version", "TXT", "NXDOMAIN", _NOTHING),
        ("ns.dns", "A", "NOERROR", ["A 10.0.0.10"]),
        ("www.example.com.shop.svc", "A", "NXDOMAIN", _NOTHING),
        ("www.example.com.svc", "A", "NXDOMAIN", _NOTHING),
        ("www.example.com", "A", "NXDOMAIN", _NOTHING),
    ],
)
def test_a_name_of_the_domain(shop: Responder, name: str, type: str, code: str, answers: list[str]) -> None:
    reply = ask(shop, f"{name}.cluster.local", type)
    assert told(reply) == (code, sorted(answers))
    assert reply.flags & dns.flags.AA
    soa = [rrset.to_text() for rrset in reply.authority]
    final = [each for each in answers if type == "CNAME" or not each.startswith("CNAME")]
    if final or name == "docs.shop.svc":
        assert soa == []
    else:
        assert soa == [
            "cluster.local. 5 IN SOA ns.dns.cluster.local. hostmaster.cluster.local. 7 7200 1800 86400 5"
        ]
    assert all(rrset.ttl == 5 for rrset in reply.answer)


@pytest.mark.parametrize(
    ("address", "code", "answers"),
    [
        ("7.3.0.10.in-addr.arpa", "NOERROR", ["PTR web.shop.svc.cluster.local."]),
        ("5.1.244.10.in-addr.arpa", "NOERROR", ["PTR db-0.db.shop.svc.cluster.local."]),
        ("6.2.244.10.in-addr.arpa", "NXDOMAIN", []),
        ("9.1.244.10.in-addr.arpa", "NXDOMAIN", []),
        ("0.10.in-addr.arpa", "NXDOMAIN", []),
        (
            "7.0.0.0.3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.1.0.0.0.0.d.f.ip6.arpa",
            "NOERROR",
            ["PTR web.shop.svc.cluster.local."],
        ),
        ("7.0.0.0.3.0.0.0.ip6.arpa", "NXDOMAIN", []),
    ],
)
def test_the_name_of_an_address(shop: Responder, address: str, code: str, answers: list[str]) -> None:
    assert told(ask(shop, address, "PTR")) == (code, answers)


def test_srv_records_bring_the_addresses_of_their_targets(shop: Responder) -> None:
    reply = ask(shop, "_http._tcp.db.shop.svc.cluster.local", "SRV")
    assert sorted(rrset.to_text() for rrset in reply.additional) == [
        "10-244-2-6.db.shop.svc.cluster.local. 5 IN A 10.244.2.6",
        "db-0.db.shop.svc.cluster.local. 5 IN A 10.244.1.5",
        "db-0.db.shop.svc.cluster.local. 5 IN AAAA fd00:10:244:1::5",
    ]


def test_names_that_lead_to_each_other_come_to_an_end(shop: Responder) -> None:
    code, answers = told(ask(shop, "round.shop.svc.cluster.local"))
    assert code == "NOERROR"
    assert answers == ["CNAME round.shop.svc.cluster.local."]


def test_the_case_of_a_question_makes_no_difference_and_is_kept(shop: Responder) -> None:
    reply = ask(shop, "wEb.SHOP.svc.Cluster.Local")
    assert told(reply) == ("NOERROR", ["A 10.0.3.7"])
    assert str(reply.question[0].name) == "wEb.SHOP.svc.Cluster.Local."
    assert str(reply.answer[0].name) == "wEb.SHOP.svc.Cluster.Local."


def test_the_zone_itself_has_an_soa_and_a_name_server(shop: Responder) -> None:
    assert told(ask(shop, "cluster.local", "NS")) == ("NOERROR", ["NS ns.dns.cluster.local."])
    code, (soa,) = told(ask(shop, "cluster.local", "SOA"))
    assert (code, soa.split()[1]) == ("NOERROR", "ns.dns.cluster.local.")


def test_each_address_is_first_now_and_then() -> None:
    made = responder(service("db"), endpoint_slice("db", *(endpoint(f"10.244.1.{n}") for n in range(1, 4))))
    firsts = {str(ask(made, "db.shop.svc.cluster.local").answer[0][0]) for _ in range(6)}
    assert firsts == {"10.244.1.1", "10.244.1.2", "10.244.1.3"}


def test_before_the_api_server_was_read_nobody_hears_that_a_name_is_missing() -> None:
    made = responder()
    made.is_ready = False
    assert ask(made, "web.shop.svc.cluster.local").rcode().name == "SERVFAIL"
    made.is_ready = True
    assert ask(made, "web.shop.svc.cluster.local").rcode().name == "NXDOMAIN"
