"""Clouds' HTTP load balancers for Ingresses: outside of the cluster, dialling pods or node ports.

Sources: Google: see `gke`. Amazon: aws-load-balancer-controller `docs/guide/ingress/annotations.md`
(target-type: instance by default). Azure: application-gateway-kubernetes-ingress (pods are dialled).
"""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

from wellhead.paths.codes import Code
from wellhead.paths.parties.base import Delivery, note
from wellhead.paths.parties.gke import FRONT_ENDS, HTTP_FORWARDED, NEG
from wellhead.paths.routes import RouteTo
from wellhead.paths.services import ServiceFacts
from wellhead.paths.way import Forwarded, SeenAs

_ALB_TARGET = "alb.ingress.kubernetes.io/target-type"
_APPENDS = "the client is the last entry; anything before is its own claim"


@dataclass(frozen=True)
class CloudHttp:
    """One of them."""

    name: str
    ids: tuple[str, ...]
    classes: tuple[str, ...]


GOOGLE = CloudHttp(
    "Google's HTTP load balancer",
    ("networking.gke.io/gateway",),
    (
        "gce",
        "gce-internal",
        "gke-l7-global-external-managed",
        "gke-l7-rilb",
        "gke-l7-gxlb",
        "gke-l7-regional-external-managed",
    ),
)
AMAZON = CloudHttp(
    "AWS Application Load Balancer", ("ingress.k8s.aws/alb", "eks.amazonaws.com/alb"), ("alb",)
)
AZURE = CloudHttp(
    "Azure Application Gateway",
    ("azure/application-gateway", "alb.networking.azure.io/alb-controller"),
    ("azure/application-gateway", "azure-application-gateway"),
)
ALL = (GOOGLE, AMAZON, AZURE)


def cloud_http(route: RouteTo) -> CloudHttp | None:
    """Which cloud's balancer serves a route."""
    for each in ALL:
        if route.controller in each.ids or route.class_name in each.classes:
            return each
    if any(key.startswith("alb.ingress.kubernetes.io/") for key, _ in route.annotations):
        return AMAZON
    return None


def delivery(cloud: CloudHttp, facts: ServiceFacts, route: RouteTo) -> Delivery:
    """How it reaches the Service."""
    documented = note(Code.ASSUMES_DOCUMENTED_CLOUD)
    if cloud is GOOGLE:
        said = facts.annotations.get(NEG, "")
        direct = (
            _neg(said)
            or facts.type == "ClusterIP"
            or "gateway" in route.controller
            or route.class_name.startswith("gke-")
        )
        field = facts.decision(f"metadata.annotations[{NEG}]", said or "-")
        if direct:
            because = (
                "container-native load balancing: Google's front ends dial pods; "
                "nodes and kube-proxy are not on the way"
            )
            return Delivery(
                "terminate-endpoint",
                code=Code.BALANCER_TO_ENDPOINT,
                because=because,
                decided_by=field,
                address_note=f"a Google front end ({FRONT_ENDS})",
                forwarded=(HTTP_FORWARDED,),
                notes=(documented,),
            )
        because = "without network endpoint groups, Google's front ends dial node ports"
        return Delivery(
            "terminate-node",
            code=Code.BALANCER_TERMINATES,
            because=because,
            decided_by=field,
            checks_health=False,
            address_note=f"a Google front end ({FRONT_ENDS})",
            forwarded=(HTTP_FORWARDED,),
            notes=(documented,),
        )
    forwarded = (Forwarded(by=cloud.name, form="X-Forwarded-For", seen_as=SeenAs.CLIENT, sentence=_APPENDS),)
    direct = cloud is AZURE or route.annotation(_ALB_TARGET) == "ip"
    return Delivery(
        "terminate-endpoint" if direct else "terminate-node",
        code=Code.BALANCER_TO_ENDPOINT if direct else Code.BALANCER_TERMINATES,
        because=f"{cloud.name} dials {'pods' if direct else 'node ports'}",
        address_note=f"an address of the {cloud.name}, in its subnets",
        forwarded=forwarded,
        notes=(documented,),
        checks_health=False,
    )


def _neg(said: str) -> bool:
    try:
        found = msgspec.json.decode(said)
    except msgspec.DecodeError:
        return False
    return isinstance(found, dict) and (found.get("ingress") is True or bool(found.get("exposed_ports")))
