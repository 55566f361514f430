"""The auditor that the options ask for, with its backends, while a context lasts."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

from prometheus_client import CollectorRegistry

from wellhead.apiserver.audit.options import AuditOptions
from wellhead.apiserver.audit.trail import AuditMetrics, Auditor

_log = logging.getLogger(__name__)

_CLOSING_SECONDS = 5.0


@contextlib.asynccontextmanager
async def auditing(options: AuditOptions, registry: CollectorRegistry) -> AsyncIterator[Auditor | None]:
    """None if nothing is to be put down. Events that wait at the end still have a few seconds.

    Raises PolicyError, KubeconfigError, OSError.
    """
    if not (options.log_path or options.webhook_config_file):
        yield None
        return
    if options.policy_file is None:
        _log.info("no audit policy file: no events will be recorded")
        yield None
        return
    # Who writes no log doesn't pay for what writes it.
    import yaml

    from wellhead.api.audit.policy import PolicyError, read_policy
    from wellhead.apiserver.audit.backend import Backend
    from wellhead.apiserver.audit.log_file import LogFile
    from wellhead.apiserver.audit.webhook import Webhook
    from wellhead.client.connection import load

    try:
        policy = read_policy(yaml.safe_load(options.policy_file.read_text()))
    except (yaml.YAMLError, UnicodeDecodeError, PolicyError) as error:
        raise PolicyError(f"loading audit policy file: {error}: from file {options.policy_file}") from None
    if policy.unknown:
        _log.warning("the audit policy has unknown fields: %s", ", ".join(policy.unknown))
    metrics = AuditMetrics(registry)
    backends = []
    if options.log_path:
        backends.append(Backend(LogFile(options), options.log, metrics.lost))
    if options.webhook_config_file is not None:
        webhook = Webhook(load(str(options.webhook_config_file)), options.webhook_initial_backoff)
        backends.append(Backend(webhook, options.webhook, metrics.lost))
    try:
        async with asyncio.TaskGroup() as group:
            running = [group.create_task(backend.run()) for backend in backends]
            try:
                yield Auditor(policy, backends, metrics)
            finally:
                for backend in backends:
                    backend.stop()
                _, late = await asyncio.wait(running, timeout=_CLOSING_SECONDS)
                for each in late:
                    each.cancel()
    finally:
        for backend in backends:
            await backend.close()
