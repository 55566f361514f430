"""The audit log of `wellhead apiserver`, as options named as kube-apiserver's are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from wellhead.apiserver.audit.options import (
    FORMATS,
    MODES,
    TRUNCATED_BATCH,
    TRUNCATED_EVENT,
    AuditOptions,
    Delivery,
)
from wellhead.cli.options import Seconds, boolean_option

F = TypeVar("F", bound=Callable[..., Any])

_FILE = click.Path(path_type=Path, dir_okay=False, exists=True)
_DEFAULTS = AuditOptions()


def audit_options(command: F) -> F:
    """Add --audit-…, passed as `audit_…`."""
    for option in reversed(
        (*_OPTIONS, *_delivery("log", _DEFAULTS.log), *_delivery("webhook", _DEFAULTS.webhook))
    ):
        command = option(command)
    return command


def _option(name: str, type: Any, default: Any, text: str) -> Callable[[Any], Any]:
    return click.option(f"--audit-{name}", type=type, default=default, show_default=True, help=text)


def _flag(name: str, default: bool, text: str) -> Callable[[Any], Any]:
    return boolean_option(f"audit-{name}", default=default, text=text)


_NATURAL = click.IntRange(1)
_OPTIONS: tuple[Callable[[Any], Any], ...] = (
    click.option(
        "--audit-policy-file",
        type=_FILE,
        help="Which requests are put down in the audit log, and how much of them: an audit.k8s.io/v1 Policy.",
    ),
    click.option("--audit-log-path", default="", help="Put events into this file; - for standard output."),
    _option("log-format", click.Choice(FORMATS), _DEFAULTS.log_format, "JSON, or a line of text for each."),
    _option("log-maxage", click.IntRange(0), 0, "Days that old files are kept; 0: for ever."),
    _option("log-maxbackup", click.IntRange(0), 0, "How many old files are kept; 0: all."),
    _option("log-maxsize", click.IntRange(0), 100, "Megabytes after which a file is begun anew; 0: never."),
    _flag("log-compress", False, "Compress old files."),
    click.option(
        "--audit-webhook-config-file",
        type=_FILE,
        help="Post events to the server that this kubeconfig names.",
    ),
    _option("webhook-initial-backoff", Seconds(), "10s", "How long to wait before the second try."),
)


def _delivery(name: str, default: Delivery) -> tuple[Callable[[Any], Any], ...]:
    batch, cut = f"{name}-batch", f"{name}-truncate"
    return (
        _option(
            f"{name}-mode",
            click.Choice(MODES),
            default.mode,
            "batch: answers don't wait for events; blocking: they do; blocking-strict: without the event that"
            " a request has come, it is refused.",
        ),
        _option(f"{batch}-buffer-size", _NATURAL, default.buffer, "Events that may wait; more are lost."),
        _option(f"{batch}-max-size", _NATURAL, default.batch_size, "Events in a batch at most."),
        _option(
            f"{batch}-max-wait",
            Seconds(),
            f"{default.batch_seconds:g}s",
            "How long a batch that isn't full waits, in batch mode.",
        ),
        _flag(
            f"{batch}-throttle-enable",
            default.throttle,
            "Send only so many batches a second, in batch mode.",
        ),
        _option(
            f"{batch}-throttle-qps",
            click.FloatRange(0, min_open=True),
            default.batches_per_second,
            "How many batches a second.",
        ),
        _option(f"{batch}-throttle-burst", _NATURAL, default.burst, "How many at once after a quiet time."),
        _flag(f"{cut}-enabled", False, "Leave objects out of events that are too large."),
        _option(f"{cut}-max-event-size", _NATURAL, TRUNCATED_EVENT, "Bytes of an event."),
        _option(f"{cut}-max-batch-size", _NATURAL, TRUNCATED_BATCH, "Bytes of a batch's events."),
    )


def audit_of(options: dict[str, Any]) -> AuditOptions:
    """What the options say; takes them out. Raises UsageError."""
    found = AuditOptions(
        log=_delivery_of("log", options),
        webhook=_delivery_of("webhook", options),
        policy_file=options.pop("audit_policy_file"),
        log_path=options.pop("audit_log_path"),
        log_format=options.pop("audit_log_format"),
        log_max_age=options.pop("audit_log_maxage"),
        log_max_backups=options.pop("audit_log_maxbackup"),
        log_max_size=options.pop("audit_log_maxsize"),
        log_compress=options.pop("audit_log_compress"),
        webhook_config_file=options.pop("audit_webhook_config_file"),
        webhook_initial_backoff=options.pop("audit_webhook_initial_backoff"),
    )
    for name, delivery in (("log", found.log), ("webhook", found.webhook)):
        if delivery.longest_batch < delivery.longest_event:
            raise click.UsageError(
                f"--audit-{name}-truncate-max-batch-size must not be less than"
                f" --audit-{name}-truncate-max-event-size"
            )
    return found


def _delivery_of(name: str, options: dict[str, Any]) -> Delivery:
    batch, cut = f"audit_{name}_batch", f"audit_{name}_truncate"
    mode = options.pop(f"audit_{name}_mode")
    batched = mode == "batch"
    seconds = options.pop(f"{batch}_max_wait")
    throttle = options.pop(f"{batch}_throttle_enable")
    return Delivery(
        mode=mode,
        buffer=options.pop(f"{batch}_buffer_size"),
        batch_size=options.pop(f"{batch}_max_size"),
        # An answer that waits isn't made to wait for company.
        batch_seconds=seconds if batched else 0.0,
        throttle=throttle and batched,
        batches_per_second=options.pop(f"{batch}_throttle_qps"),
        burst=options.pop(f"{batch}_throttle_burst"),
        truncate=options.pop(f"{cut}_enabled"),
        longest_event=options.pop(f"{cut}_max_event_size"),
        longest_batch=options.pop(f"{cut}_max_batch_size"),
    )
