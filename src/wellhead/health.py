"""Whether work goes on: what has been unfinished for too long, since when, and why. Pure.

That a process runs says little: its watch may be dead, or all its workers wait for what never comes. So who
works says what is unfinished, and who asks says what time it is: seconds, of one clock that is the same for
both. Nothing has to be reset: what is finished in the end is healthy again.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

Problem = Callable[[float], str]
"""Given the time: why something is not as it should be; "" if it is."""

ENDPOINTS = ("healthz", "livez", "readyz")
ATTEMPT_SECONDS = 300.0
_SHOWN = 3


class Overdue:
    """Something unfinished, which is a problem once it has been so for longer than `bound` seconds."""

    def __init__(self, what: str, bound: float) -> None:
        self._what = what
        self._bound = bound
        self._since: float | None = None
        self._why = ""

    def begin(self, now: float, why: str = "") -> None:
        """It is unfinished, since now or since an earlier call. `why` is the newest known reason."""
        if self._since is None:
            self._since = now
        self._why = why or self._why

    def end(self) -> None:
        """It is finished, or nobody wants it any more."""
        self._since = None
        self._why = ""

    def problem(self, now: float) -> str:
        """What takes too long, for how many seconds, and why; "" if nothing does."""
        if self._since is None or now - self._since <= self._bound:
            return ""
        return f"{self._what} for {now - self._since:.0f} s" + (f": {self._why}" if self._why else "")


@dataclass(frozen=True)
class Check:
    """One thing that is looked at. `mortal`: a restart would mend it, so it counts for /livez, too."""

    name: str
    problem: Problem
    mortal: bool = False


class Attempts:
    """Something that is tried until it goes well, and perhaps again afterwards.

    It is a problem once it hasn't gone well for `bound` seconds. A single attempt that takes five minutes is
    stuck, which a restart would mend.
    """

    def __init__(self, name: str, what: str, bound: float) -> None:
        self._name = name
        self._undone = Overdue(what, bound)
        self._busy = Overdue(f"{name} is busy with one attempt", ATTEMPT_SECONDS)

    def start(self, now: float) -> None:
        """Somebody tries now."""
        self._undone.begin(now)
        self._busy.begin(now)

    def fail(self, now: float, why: str) -> None:
        """The attempt failed, and there will be another."""
        self._busy.end()
        self._undone.begin(now, why)

    def succeed(self) -> None:
        """The attempt went well."""
        self._busy.end()
        self._undone.end()

    def checks(self) -> list[Check]:
        """That it goes well; that no attempt is stuck."""
        return [
            Check(self._name, self._undone.problem),
            Check(f"{self._name}-busy", self._busy.problem, mortal=True),
        ]


@dataclass(frozen=True)
class Answer:
    """What an endpoint says, and whether all is well."""

    ok: bool
    text: str


class Health:
    """Asks checks. /livez asks for what a restart would mend, /healthz and /readyz for everything."""

    def __init__(self, checks: Callable[[], Iterable[Check]]) -> None:
        self._checks = checks

    def problems(self, now: float, endpoint: str = "healthz") -> dict[str, str]:
        """Each check of an endpoint by name, and what it finds."""
        return {
            check.name: check.problem(now) for check in self._checks() if check.mortal or endpoint != "livez"
        }

    def answer(
        self,
        now: float,
        endpoint: str,
        one: str = "",
        *,
        verbose: bool = False,
        exclude: Collection[str] = (),
    ) -> Answer | None:
        """What an endpoint, or `one` of its checks, says; None: there is no such check."""
        problems = {"ping": "", **self.problems(now, endpoint)}
        if one:
            return single(one, problems[one]) if one in problems else None
        asked = {name: problem for name, problem in problems.items() if name not in exclude}
        return summary(endpoint, asked, verbose=verbose)


def together(problems: Iterable[str]) -> str:
    """Several problems as one."""
    found = [problem for problem in problems if problem]
    more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
    return "; ".join([*found[:_SHOWN], *more])


def single(name: str, problem: str) -> Answer:
    """What Kubernetes' components answer when one check is asked for."""
    return Answer(not problem, f"internal server error: {name} failed: {problem}" if problem else "ok")


def summary(endpoint: str, problems: Mapping[str, str], *, verbose: bool = False) -> Answer:
    """What they answer of all checks together: `ok`, or each of them (k8s.io/apiserver, server/healthz)."""
    ok = not any(problems.values())
    if ok and not verbose:
        return Answer(ok, "ok")
    lines = [f"[-]{name} failed: {why}" if why else f"[+]{name} ok" for name, why in problems.items()]
    return Answer(ok, "\n".join([*lines, f"{endpoint} check {'passed' if ok else 'failed'}", ""]))
