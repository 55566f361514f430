"""wellhead: Kubernetes Service networking, built around the source IP that a server sees.

with wellhead.Cluster(nodes=3, proxy_mode="nftables") as cluster:
    print(cluster.kubectl("get", "nodes"))
"""

__version__ = "0.1.0"

_MODULES = {
    "Cluster": "clusters.cluster",
    "CommandFailed": "clusters.commands",
    "Host": "clusters.host",
    "LabError": "lab.cluster",
    "Namespace": "clusters.namespace",
    "NoAnswer": "clusters.commands",
}


def __getattr__(name: str) -> object:
    # Found when it is asked for: each component imports this module, and none of them needs a cluster. What
    # there is says __init__.pyi.
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(f"wellhead.{_MODULES[name]}"), name)
    raise AttributeError(f"module 'wellhead' has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_MODULES})
