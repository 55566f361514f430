"""A whole report: the ways, what to make of them, and what they rest on."""

from __future__ import annotations

import msgspec

from wellhead.paths.examples import in_words, with_examples
from wellhead.paths.explain import Explanation, Question
from wellhead.paths.judging.advice import advice
from wellhead.paths.judging.warnings import warnings
from wellhead.paths.way import Report
from wellhead.paths.world import World


def explain(world: World, question: Question) -> Report:
    """Answer a question about a world.

    Raises:
        UnknownTarget, UnknownClient: there is no such thing among the objects.
    """
    examples = with_examples(world)
    if examples is not None:
        return in_words(_explain(examples, question))
    return _explain(world, question)


def _explain(world: World, question: Question) -> Report:
    explanation = Explanation(world, question)
    ways = explanation.ways()
    found = warnings(explanation, ways)
    told = advice(explanation, ways)
    return msgspec.structs.replace(explanation.report(ways), warnings=tuple(found), advice=tuple(told))
