"""The frame every long-running component runs in: logging, the event loop, signals and exit codes.

A component is a coroutine that runs until it is cancelled. SIGTERM and SIGINT cancel it; it may take its
time to leave things in order, and a second signal ends the process at once.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import Coroutine
from typing import Any, Literal

import uvloop
from pythonjsonlogger.json import JsonFormatter

from wellhead.text import printable
from wellhead.waiting import first_error

LogFormat = Literal["text", "json"]

_TEXT_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _TextFormatter(logging.Formatter):
    """One record is one line, whatever others have put into its message; its traceback follows."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 logging's name
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 logging's name
        return printable(super().formatException(ei), lines=True)


def setup_logging(level: str, log_format: LogFormat) -> None:
    """Send this process's log records to standard error, one line each (tracebacks follow their line)."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    else:
        handler.setFormatter(_TextFormatter(_TEXT_FORMAT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)


def run(
    name: str,
    main: Coroutine[Any, Any, None],
    *,
    log_level: str = "info",
    log_format: LogFormat = "text",
) -> None:
    """Run a component's `main` until it returns, fails, or a signal cancels it.

    Raises:
        SystemExit: 1 after an unexpected error, whose traceback is in the log. A component that a signal
            ended returns normally, so its process exits 0.
    """
    setup_logging(log_level, log_format)
    log = logging.getLogger(f"wellhead.{name}")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_signalled(main, log))
    except Exception as error:
        log.exception("%s failed", name)
        print(f"wellhead {name}: {first_error(error)}", file=sys.stderr)
        raise SystemExit(1) from None


async def _until_signalled(main: Coroutine[Any, Any, None], log: logging.Logger) -> None:
    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(main)

    def stop(signum: signal.Signals) -> None:
        log.info("%s: stopping", signum.name)
        # A second signal finds Python's default handler again and ends the process.
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(each)
        task.cancel()

    for each in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(each, stop, each)
    try:
        await task
    except asyncio.CancelledError:
        log.info("stopped")
