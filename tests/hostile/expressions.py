"""Requests whose expressions (CEL) compute for long: others mustn't notice."""

from __future__ import annotations

from collections.abc import Iterator

from tests.hostile.corpus import CONFIGMAPS, Hostile, texts
from tests.hostile.server import request


def expressions() -> Iterator[Hostile]:
    """Within upstream's limits of cost an expression may compute for longer than other requests may."""
    registration = "/apis/admissionregistration.k8s.io/v1"
    costly = "object.data.all(k, object.data.all(l, object.data.all(m, k + l + m != 'x')))"
    rule = {"operations": ["CREATE"], "apiGroups": [""], "apiVersions": ["v1"], "resources": ["configmaps"]}
    selected = {"objectSelector": {"matchLabels": {"asks": "much"}}}

    def webhook(name: str, *conditions: str) -> bytes:
        hook = {
            "name": f"{name}.example.com",
            "clientConfig": {"url": "https://127.0.0.1:1/"},
            "rules": [rule],
            "failurePolicy": "Ignore",
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
            "matchConditions": [{"name": f"c{n}", "expression": each} for n, each in enumerate(conditions)],
            **selected,
        }
        body = {"metadata": {"name": name}, "webhooks": [hook]}
        return request("POST", f"{registration}/validatingwebhookconfigurations", body)

    def policy(name: str, **spec: object) -> Iterator[Hostile]:
        body = {
            "metadata": {"name": name},
            "spec": {
                "failurePolicy": "Ignore",
                "matchConstraints": {"resourceRules": [rule], **selected},
                **spec,
            },
        }
        yield Hostile(
            f"expressions: the policy {name}",
            request("POST", f"{registration}/validatingadmissionpolicies", body),
            (201,),
        )
        bound = {"metadata": {"name": name}, "spec": {"policyName": name, "validationActions": ["Deny"]}}
        yield Hostile(
            f"expressions: the binding of {name}",
            request("POST", f"{registration}/validatingadmissionpolicybindings", bound),
            (201,),
        )

    def written(name: str) -> Hostile:
        body = {"metadata": {"name": name, "labels": {"asks": "much"}}, "data": texts(150)}
        return Hostile(f"expressions: asked by {name}", request("POST", CONFIGMAPS, body), (201,), 10)

    long = "object.data.exists(a, a == 'x') && " * 400 + "true"
    yield Hostile("expressions: a long one", webhook("too-long", long * 10), (422,))
    yield Hostile(
        "expressions: several long ones",
        webhook("long", *[f"{n} > 0 && {long}" for n in range(4)]),
        (201,),
        5,
    )
    yield Hostile("expressions: many", webhook("many", *["true"] * 2000), (422,))
    yield Hostile("expressions: longer than all may be", webhook("longer", *[long] * 6), (422,))
    variables = [{"name": f"v{n}", "expression": "1"} for n in range(10_000)]
    for spec in ({"variables": variables}, {"validations": [{"expression": "1 == 1"}] * 10_000}):
        body = {
            "metadata": {"name": "too-much"},
            "spec": {"matchConstraints": {"resourceRules": [rule]}, **spec},
        }
        sent = request("POST", f"{registration}/validatingadmissionpolicies", body)
        yield Hostile(f"expressions: too many {next(iter(spec))}", sent, (422,))
    yield Hostile("expressions: deep ones", webhook("deep", "(" * 8_000 + "true" + ")" * 8_000), (422,))
    many = [f"{n} >= 0 && {costly}" for n in range(2)]  # each ends at a limit of its own
    yield Hostile("expressions: a webhook's conditions", webhook("webhook", *many), (201,))
    yield written("webhook")
    yield Hostile(
        "expressions: the webhook goes",
        request("DELETE", f"{registration}/validatingwebhookconfigurations/webhook"),
        (200,),
    )
    conditions = [{"name": f"c{n}", "expression": each} for n, each in enumerate(many)]
    yield from policy("conditions", matchConditions=conditions, validations=[{"expression": "true"}])
    yield written("conditions")
    printed = "object.data.all(k, object.data.all(l, '%s'.format([object]) != 'x'))"
    validations = [{"expression": f"{n} >= 0 && {printed}"} for n in range(2)]
    yield from policy("printing", validations=validations)
    yield written("printing")
