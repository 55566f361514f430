"""The elements of one nftables set or map, and the commands that follow their changes."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic, TypeVar

from wellhead.ip import Family
from wellhead.linux.numbers import Table

K = TypeVar("K", bound=Hashable)

TABLE = Table.FORWARDER


class Elements(Generic[K]):
    """What a set (values are None) or a map of marks holds; `str` of a key is how nft writes it."""

    def __init__(self, name: str, family: Family = Family.IPV4) -> None:
        self.held: dict[K, int | None] = {}
        self.name = name
        self._family = family
        self._before: dict[
            K, tuple[int | None] | None
        ] = {}  # of what changed: its value; None: it wasn't there

    def put(self, key: K, value: int | None = None) -> None:
        """Have this element, with this value."""
        if key in self.held and self.held[key] == value:
            return
        self._remember(key)
        self.held[key] = value

    def drop(self, key: K) -> None:
        """Don't have this element."""
        if key in self.held:
            self._remember(key)
            del self.held[key]

    def become(self, keys: Iterable[K]) -> None:
        """Have these elements of a set, and no others."""
        wanted = set(keys)
        for key in self.held.keys() - wanted:
            self.drop(key)
        for key in wanted:
            self.put(key)

    def changes(self) -> str:
        """The commands for what has changed since the last call of this or `all`."""
        before, self._before = self._before, {}
        # Back to what it was: in a transaction that would still be two changes.
        changed = {key for key, old in before.items() if old != self._now(key)}
        gone = [_text(key, old[0]) for key, old in before.items() if old is not None and key in changed]
        come = [_text(key, self.held[key]) for key in before if key in changed and key in self.held]
        return self._command("delete", gone) + self._command("add", come)

    def mend(self, there: Mapping[str, int | None]) -> str:
        """The commands that make of a set or map with these elements, as nft writes them, this one."""
        self._before = {}
        wanted = {str(key): value for key, value in self.held.items()}
        gone = {key: value for key, value in there.items() if key not in wanted or wanted[key] != value}
        come = {key: value for key, value in wanted.items() if key not in there or there[key] != value}
        return self._command("delete", (_text(*each) for each in gone.items())) + self._command(
            "add", (_text(*each) for each in come.items())
        )

    def all(self) -> str:
        """The command that fills the set or map when it is empty."""
        self._before = {}
        return self._command("add", (_text(key, value) for key, value in self.held.items()))

    def _now(self, key: K) -> tuple[int | None] | None:
        return (self.held[key],) if key in self.held else None

    def _remember(self, key: K) -> None:
        if key not in self._before:
            self._before[key] = self._now(key)

    def _command(self, verb: str, elements: Iterable[str]) -> str:
        text = ", ".join(elements)
        return f"{verb} element {self._family.nft} {TABLE} {self.name} {{ {text} }}\n" if text else ""


def _text(key: object, value: int | None) -> str:
    return str(key) if value is None else f"{key} : {value:#x}"
