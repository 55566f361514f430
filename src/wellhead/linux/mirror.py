"""What should be in the kernel, held against what it says of itself: which facts differ, at O(1) a change."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wellhead.linux.facts import Fact, Key, Value


class Mirror:
    """Wanted facts and what is present of them. Everything else that the kernel tells is forgotten."""

    def __init__(self) -> None:
        self._wanted: dict[Key, Value] = {}
        self._present: dict[Key, Value] = {}
        self._wrong: set[Key] = set()

    @property
    def wrong(self) -> frozenset[Key]:
        """The keys of wanted facts that aren't so, as far as is known."""
        return frozenset(self._wrong)

    def want(self, facts: Mapping[Key, Value]) -> None:
        """From now on these should be so."""
        for key, value in facts.items():
            self._wanted[key] = value
            self._judge(key)

    def forget(self, keys: Iterable[Key]) -> None:
        """It no longer matters how these are."""
        for key in keys:
            self._wanted.pop(key, None)
            self._present.pop(key, None)
            self._wrong.discard(key)

    def present(self, key: Key) -> Value | None:
        """What is known of a wanted fact."""
        return self._present.get(key)

    def replace(self, facts: Iterable[Fact]) -> None:
        """These are all facts there are."""
        self._present = {key: value for key, value in facts if key in self._wanted and value is not None}
        self._wrong = {key for key, value in self._wanted.items() if self._present.get(key) != value}

    def note(self, facts: Iterable[Fact]) -> set[str]:
        """The kernel's news. Returns the interfaces that went down or lost an address.

        The kernel drops the IPv4 routes by them then, and says nothing: their facts have to be listed again.
        """
        impaired = set()
        for key, value in facts:
            if (key[0] == "address" and value is None) or (key[0] == "link" and key[2] == "up" and not value):
                impaired.add(str(key[1]))
            if key in self._wanted:
                if value is None:
                    self._present.pop(key, None)
                else:
                    self._present[key] = value
                self._judge(key)
        return impaired

    def _judge(self, key: Key) -> None:
        if self._present.get(key) == self._wanted[key]:
            self._wrong.discard(key)
        else:
            self._wrong.add(key)
