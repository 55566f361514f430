"""What a right answer looks like: checks on a command's output that say readably what differs.

An expectation is a function from (output, facts) to the differences found, none if all is well. Facts are
what earlier steps learnt (addresses, ports, names); an expectation may add to them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any

Facts = dict[str, Any]
Expectation = Callable[[str, Facts], list[str]]


def fill(template: str, facts: Facts) -> str:
    """`template` with each <fact> replaced by its value."""
    return re.sub(r"<(\w+)>", lambda found: str(facts[found[1]]), template)


def anything(output: str, facts: Facts) -> list[str]:
    """Expect nothing of the output."""
    return []


def exactly(template: str) -> Expectation:
    """The output is this text, with <facts> filled in; white space at the ends does not matter."""

    def check(output: str, facts: Facts) -> list[str]:
        wanted = fill(template, facts)
        return [] if output.strip() == wanted else [f"expected: {wanted}", f"     got: {output.strip()}"]

    return check


def matching(pattern: str) -> Expectation:
    """The output contains the pattern; its named groups become facts."""

    def check(output: str, facts: Facts) -> list[str]:
        found = re.search(pattern, output, re.MULTILINE)
        if found is None:
            return [f"expected something like: {pattern}", f"                    got: {output.strip()}"]
        facts.update(found.groupdict())
        return []

    return check


def table(
    header: str, rows: int | None, learn: Callable[[list[dict[str, str]], Facts], list[str]]
) -> Expectation:
    """A table as kubectl prints it: these columns, this many rows; `learn` looks at the rows, by column."""

    def check(output: str, facts: Facts) -> list[str]:
        lines = output.strip().splitlines()
        columns = header.split("  ")
        got = re.split(r"\s{2,}", lines[0].strip()) if lines else []
        if got != columns:
            return [f"expected the columns: {' '.join(columns)}", f"                 got: {' '.join(got)}"]
        if rows is not None and len(lines) - 1 != rows:
            return [f"expected {rows} rows, got {len(lines) - 1}"]
        cells = [re.split(r"\s{2,}", line.strip()) for line in lines[1:]]
        return learn([dict(zip(columns, row, strict=False)) for row in cells], facts)

    return check


def answers(count: int, allowed: Callable[[Facts], Collection[str]], whose: str) -> Expectation:
    """`count` lines `client_address=…`, each address one of the `allowed` ones, which are `whose`."""

    def check(output: str, facts: Facts) -> list[str]:
        addresses = re.findall(r"^client_address=(\S+)$", output, re.MULTILINE)
        differences = []
        if len(addresses) != count:
            differences.append(f"expected {count} x client_address=…, got {len(addresses)}")
        wanted = allowed(facts)
        listed = ", ".join(sorted(wanted))
        differences += [f"{each} is not {whose} ({listed})" for each in addresses if each not in wanted]
        return differences

    return check
