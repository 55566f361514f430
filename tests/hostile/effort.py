"""How much is tried: a little within `make test`, much in `make test-hostile`."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import TypeVar

from hypothesis import Phase, settings

T = TypeVar("T")

MUCH = os.environ.get("WELLHEAD_HOSTILE") == "much"
LENGTH = 10_000 if MUCH else 2_000
"""Of a list that is meant to be long."""
EXAMPLES = 1_000 if MUCH else 15
"""Of each thing that hypothesis makes up."""

fuzzing = settings(
    max_examples=EXAMPLES,
    deadline=None,
    derandomize=not MUCH,
    database=None,
    phases=(Phase.explicit, Phase.generate),  # what fails is shown as it was found: shrinking may take long
)
"""For every fuzzer. Within `make test` the same examples come each time."""


def effort(choices: Sequence[T]) -> Sequence[T]:
    """All of them, or a few from everywhere."""
    return choices if MUCH else choices[:: max(1, len(choices) // 8)]
