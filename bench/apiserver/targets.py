"""What the API server has to reach, beside kube-apiserver."""

from __future__ import annotations

from dataclasses import dataclass

from bench import targets


@dataclass(frozen=True)
class Target(targets.Target):
    """One row: `upstream` is kube-apiserver 1.36 with etcd on a machine of this kind, measured by hand."""

    upstream: str = ""


TARGETS = (
    Target("creates, whole cluster", "Services and slices, creates", at_least=2000),
    Target("the last of 20,000 ÷ first", "the last of them ÷ the first", at_least=0.9),
    Target("creates, SQLite", "creates", "SQLite", at_least=2500),
    Target("creates, memory", "creates", "memory", at_least=3400),
    Target("creates, etcd", "creates", "etcd", "444-87", at_least=444),
    *(
        Target(f"applies, {storage}", "applies", storage, at_least=500)
        for storage in ("memory", "SQLite", "etcd")
    ),
    Target("list of 10,000", "list of 10,000", "SQLite", "0.12", at_most=0.05),
    Target("a change to 100, p99", "a change, p99", "SQLite", at_most=20),
    Target("a change to 1,000 nodes, p99", "a change, p99", at_most=1000),
    Target("memory with 1,000 nodes", "PSS with them", at_most=2048),
    Target("memory at the start", "PSS at the start", "SQLite", "283", at_most=69),
    Target("memory with 10,000", "PSS with 10,000", "SQLite", "609", at_most=150),
    Target("a role ÷ administrator", "a role ÷ administrator", "memory", at_most=1.05),
    Target("a webhook ÷ none", "a webhook ÷ none", "memory", at_most=1.05),
)
