"""What the agent does to containers, counted and timed for /metrics.

Source of names and meanings: pkg/kubelet/metrics/metrics.go, and instrumented_services.go in
pkg/kubelet/kuberuntime, of v1.36.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Histogram

_OPERATION_BUCKETS = tuple(0.005 * 2.5**number for number in range(14))
_PULL_BUCKETS = (*(1, 5, 10, 20, 30, 60, 120, 180, 240, 300, 360, 480, 600, 900, 1200, 1800, 2700, 3600),)
_MIB = 1 << 20
_SIZES = (
    *((10, "0-10MB"), (100, "10MB-100MB"), (500, "100MB-500MB"), (1 << 10, "500MB-1GB")),
    *((5 << 10, "1GB-5GB"), (10 << 10, "5GB-10GB"), (20 << 10, "10GB-20GB"), (30 << 10, "20GB-30GB")),
    *((40 << 10, "30GB-40GB"), (60 << 10, "40GB-60GB"), (100 << 10, "60GB-100GB")),
)


class Operations:
    """All of them, in no registry before `register`."""

    def __init__(self) -> None:
        of = ["operation_type"]
        self._count = _counter("runtime_operations", "Cumulative number of runtime operations by type", of)
        self._errors = _counter(
            "runtime_operations_errors", "Cumulative number of runtime operation errors by type", of
        )
        self._seconds = _histogram(
            "runtime_operations_duration_seconds", "Duration of runtime operations", _OPERATION_BUCKETS, of
        )
        handler = ["runtime_handler"]
        self._sandboxes = _histogram(
            "run_podsandbox_duration_seconds",
            "Duration of the making of sandboxes",
            Histogram.DEFAULT_BUCKETS,
            handler,
        )
        self._sandbox_errors = _counter(
            "run_podsandbox_errors", "Cumulative number of sandboxes that couldn't be made", handler
        )
        kind = ["container_type"]
        self._started = _counter("started_containers", "Cumulative number of containers started", kind)
        self._not_started = _counter(
            "started_containers_errors",
            "Cumulative number of errors when starting containers",
            [*kind, "code"],
        )
        self._ended = _counter(
            "terminated_containers",
            "Cumulative number of container terminations",
            [*kind, "exit_code", "reason"],
        )
        self._pulls = _histogram(
            "image_pull_duration_seconds", "Duration of pulls", _PULL_BUCKETS, ["image_size_in_bytes"]
        )
        self._refused = _counter(
            "admission_rejections", "Cumulative number of pods that the node didn't take", ["reason"]
        )

    def register(self, registry: CollectorRegistry) -> None:
        """Show them all there."""
        for each in vars(self).values():
            registry.register(each)

    @contextmanager
    def measured(self, kind: str) -> Iterator[None]:
        """Count and time what is done within, as upstream calls it; an exception is an error."""
        begin = time.monotonic()
        self._count.labels(kind).inc()
        try:
            yield
        except Exception:
            self._errors.labels(kind).inc()
            raise
        finally:
            self._seconds.labels(kind).observe(time.monotonic() - begin)

    @contextmanager
    def making_sandbox(self, handler: str) -> Iterator[None]:
        """The same of a pod's sandbox; `handler` is what its RuntimeClass asks for."""
        begin = time.monotonic()
        try:
            with self.measured("run_podsandbox"):
                yield
        except Exception:
            self._sandbox_errors.labels(handler).inc()
            raise
        finally:
            self._sandboxes.labels(handler).observe(time.monotonic() - begin)

    def started(self, kind: str) -> None:
        """A container runs; `kind` is container, init_container or ephemeral_container."""
        self._started.labels(kind).inc()

    def not_started(self, kind: str, code: str) -> None:
        self._not_started.labels(kind, code).inc()

    def ended(self, kind: str, code: int, reason: str) -> None:
        self._ended.labels(kind, str(code), reason).inc()

    def pulled(self, size: int, seconds: float) -> None:
        """An image of so many bytes has come."""
        name = next((name for most, name in _SIZES if size <= most * _MIB), "GT100GB")
        self._pulls.labels(name).observe(seconds)

    def refused(self, reason: str) -> None:
        """The node doesn't take a pod."""
        self._refused.labels(reason).inc()


def _counter(name: str, text: str, labels: list[str]) -> Counter:
    return Counter(f"kubelet_{name}", text, labels, registry=None)


def _histogram(name: str, text: str, buckets: tuple[float, ...], labels: list[str]) -> Histogram:
    return Histogram(f"kubelet_{name}", text, labels, registry=None, buckets=buckets)
