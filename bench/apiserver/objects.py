"""What is written to the API server."""

from __future__ import annotations

from wellhead.api.meta import Obj


def config_map(name: str) -> Obj:
    return {"metadata": {"name": name, "namespace": "default"}, "data": {"number": "0"}}


def service(name: str) -> Obj:
    spec = {"selector": {"app": name}, "ports": [{"port": 80, "targetPort": 8080}]}
    return {"metadata": {"name": name, "namespace": "default"}, "spec": spec}


def slice_of(name: str) -> Obj:
    labels = {"kubernetes.io/service-name": name}
    addresses = ("10.244.1.2", "10.244.2.2")
    return {
        "metadata": {"name": name, "namespace": "default", "labels": labels},
        "addressType": "IPv4",
        "endpoints": [{"addresses": [each], "conditions": {"ready": True}} for each in addresses],
        "ports": [{"name": "", "port": 8080, "protocol": "TCP"}],
    }


def webhook(name: str) -> Obj:
    rule = {"apiGroups": [""], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["secrets"]}
    hook = {
        "name": "secrets.bench.example",
        "rules": [rule],
        "clientConfig": {"url": "https://127.0.0.1:9/"},
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
    }
    return {"metadata": {"name": name}, "webhooks": [hook]}
