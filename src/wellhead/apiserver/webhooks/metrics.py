"""What is counted of webhooks, under upstream's names."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_SECONDS = (0.005, 0.025, 0.1, 0.5, 1.0, 2.5, 10, 25)


class WebhookMetrics:
    """`type` is "admit" of a mutating webhook, else "validating"."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._durations = Histogram(
            "apiserver_admission_webhook_admission_duration_seconds",
            "Admission webhook latency, by name, operation and verdict.",
            ("name", "type", "operation", "rejected"),
            buckets=_SECONDS,
            registry=registry,
        )
        self._requests = Counter(
            "apiserver_admission_webhook_request",
            "Admission webhook requests, by name, operation, code and verdict.",
            ("name", "type", "operation", "code", "rejected"),
            registry=registry,
        )
        # Gauges, which only ever grow: to a counter's name the client library adds a suffix that upstream's
        # hasn't.
        self._rejections = Gauge(
            "apiserver_admission_webhook_rejection_count",
            "Admission webhook rejections, by name, kind of error and code.",
            ("name", "type", "operation", "error_type", "rejection_code"),
            registry=registry,
        )
        self._failed_open = Gauge(
            "apiserver_admission_webhook_fail_open_count",
            "Admission webhooks that couldn't be asked, and whose requests went on.",
            ("name", "type"),
            registry=registry,
        )

    def called(self, name: str, type: str, operation: str, code: int, seconds: float, error: str) -> None:
        """A call's outcome. `error`: why the request is refused ("no_error": the webhook wants it), or ""."""
        rejected = "true" if error else "false"
        self._durations.labels(name, type, operation, rejected).observe(seconds)
        self._requests.labels(name, type, operation, str(code), rejected).inc()
        if error:
            self._rejections.labels(name, type, operation, error, str(code)).inc()

    def failed_open(self, name: str, type: str) -> None:
        """A webhook couldn't be asked, and needn't be."""
        self._failed_open.labels(name, type).inc()
