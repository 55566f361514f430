"""The frame every long-running component runs in: logging, the event loop, signals and exit codes.

A component is a coroutine that runs until it is cancelled. SIGTERM and SIGINT cancel it; it may take its
time to leave things in order, and a second signal ends the process at once.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Literal

import uvloop
from pythonjsonlogger.json import JsonFormatter

from wellhead.refusal import Refusal
from wellhead.text import printable
from wellhead.waiting import first_error

LogFormat = Literal["text", "json"]

_OTHERS = {"aiohttp.access": logging.WARNING, "pyroute2": logging.INFO}  # whose debug lines are every byte
_TEXT_FORMAT = "%(asctime)s %(levelname)-7s %(name)s: %(message)s"


class _TextFormatter(logging.Formatter):
    """One record is one line, whatever others have put into its message; its traceback follows."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 logging's name
        return printable(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: N802 logging's name
        return printable(super().formatException(ei), lines=True)


Main = Coroutine[Any, Any, None]


_parts: list[tuple[str, Main]] | None = None
"""What `run` is given while components are gathered, to share this process."""


def setup_logging(level: str, log_format: LogFormat) -> None:
    """Send this process's log records to standard error, one line each (tracebacks follow their line)."""
    handler = logging.StreamHandler(sys.stderr)
    if log_format == "json":
        handler.setFormatter(JsonFormatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    else:
        handler.setFormatter(_TextFormatter(_TEXT_FORMAT))
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_levels(level)


def set_levels(level: str) -> None:
    """Set the level of the process' log, and keep others' chatter out of it."""
    for name, wanted in (("", getattr(logging, level.upper())), *_OTHERS.items()):
        logger = logging.getLogger(name)
        # Setting one has all loggers forget what they know: in a fork, each gets pages of its own by that.
        if logger.level != wanted:
            logger.setLevel(wanted)


def run(
    name: str,
    main: Main,
    *,
    log_level: str = "info",
    log_format: LogFormat = "text",
) -> None:
    """Run a component's `main` until it returns, fails, or a signal cancels it.

    Where components share a process (`run_together`), it is only noted.

    Raises:
        SystemExit: 1 after an error, whose traceback is in the log unless it is a Refusal. A component that a
            signal ended returns normally, so its process exits 0.
    """
    if _parts is not None:
        _parts.append((name, main))
        return
    setup_logging(log_level, log_format)
    log = logging.getLogger(f"wellhead.{name}")
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(_until_signalled(main, log))
    except Exception as error:
        first = first_error(error)
        if not isinstance(first, Refusal):
            log.exception("%s failed", name)
        lacks = isinstance(first, PermissionError) and os.geteuid() != 0
        hint = " (it needs rights that root has: use sudo)" if lacks else ""
        print(f"wellhead {name}: {first}{hint}", file=sys.stderr)
        raise SystemExit(1) from None


def run_together(name: str, starts: Iterable[Callable[[], None]]) -> None:
    """Run several components in this process: each of `starts` does what ends in one's `run`.

    They end together: when one fails, the others are cancelled. Raises what `starts` and `run` do.
    """
    global _parts
    gathered: list[tuple[str, Main]] = []
    _parts = gathered
    try:
        for start in starts:
            start()
    except BaseException:
        for _, main in gathered:
            main.close()
        raise
    finally:
        _parts = None
    run(name, _all(gathered))


async def _all(parts: Iterable[tuple[str, Main]]) -> None:
    async with asyncio.TaskGroup() as group:
        for name, main in parts:
            group.create_task(_named(name, main), name=name)


async def _named(name: str, main: Main) -> None:
    try:
        await main
    except Exception:
        logging.getLogger(f"wellhead.{name}").error("%s failed: the others end with it", name)
        raise


async def _until_signalled(main: Main, log: logging.Logger) -> None:
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
