"""Compiling expressions: they are parsed and checked by the library, and evaluated here.

The library is loaded when the first expression is compiled: most servers never see one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import msgspec

from wellhead.api.cel.ast import Checked, decode
from wellhead.api.cel.costs import PER_CALL_LIMIT
from wellhead.api.cel.evaluation import Compiler
from wellhead.api.cel.frame import Evaluate, Frame
from wellhead.api.cel.functions import DECLARED, FUNCTIONS
from wellhead.api.cel.types import Declarations, Type
from wellhead.api.cel.values import CostExceeded, EvaluationError

_LONGEST = 16_384  # characters; with cel-go's 100,000 the checker would hold everybody up for long
_COMPILER = Compiler(FUNCTIONS)


class CompilationError(Exception):
    """An expression that is none, or that doesn't fit its variables; in cel-go's words."""


class Budget:
    """What several evaluations may cost together."""

    __slots__ = ("left",)

    def __init__(self, cost: int) -> None:
        self.left = cost

    def exceeded(self) -> Exception:
        """What an evaluation raises that costs more than is left."""
        return BudgetExceeded()


class TakesLong(Exception):
    """An evaluation that was only tried. It is no failure of an expression: no policy sees it."""


class Trial(Budget):
    """What may be evaluated at once where others wait; TakesLong says what can't."""

    def exceeded(self) -> Exception:
        return TakesLong()


class BudgetExceeded(EvaluationError):
    """The evaluations together took more than they may."""

    def __init__(self) -> None:
        super().__init__(
            "validation failed due to running out of cost budget, no further validation rules will be run"
        )


@dataclass(frozen=True)
class Program:
    """A checked expression, ready to be evaluated."""

    text: str
    checked: Checked
    type: str
    """The name of the result's type; `dyn` if only the evaluation tells."""
    _evaluate: Evaluate

    def evaluate(self, variables: Mapping[str, Any], budget: Budget | None = None) -> Any:
        """The expression's value.

        Raises:
            BudgetExceeded: all evaluations together cost too much (TakesLong in a Trial).
            CostExceeded: this one alone does.
            EvaluationError: it has no value.
        """
        limit = PER_CALL_LIMIT if budget is None else min(PER_CALL_LIMIT, budget.left)
        frame = Frame(variables, limit)
        try:
            return self._evaluate(frame)
        except CostExceeded:
            if limit < PER_CALL_LIMIT:
                assert budget is not None
                raise budget.exceeded() from None
            raise
        except RecursionError:
            raise EvaluationError("expression is nested too deeply") from None
        finally:
            if budget is not None:
                budget.left -= frame.spent

    def within(self, frame: Frame) -> Any:
        """The value as a part of another evaluation, at its cost: a policy's variable."""
        inner = Frame(frame.variables, frame.limit)
        inner.cost, inner.effort = frame.cost, frame.effort
        try:
            return self._evaluate(inner)
        finally:
            frame.cost, frame.effort = inner.cost, inner.effort


class Environment:
    """The variables that expressions may use, with their types."""

    def __init__(self, variables: Mapping[str, Type]) -> None:
        """Raises CompilationError if this machine has no checker."""
        try:
            from cel_expr_python import cel
        except ImportError as error:
            raise CompilationError(
                "CEL expressions are not supported on this machine: there is no build of the package "
                f"cel-expr-python for it ({error})"
            ) from None
        try:
            declarations = Declarations(variables)
        except TypeError as error:  # Protobuf's, of a message with too many fields
            raise CompilationError(f"compilation failed: too many fields are declared: {error}") from None
        self._checker = cel.NewEnv(
            declarations.pool, config=_configuration(), variables=declarations.variables
        )

    def compile(self, expression: str, *, check: bool = True) -> Program:
        """Raises CompilationError."""
        if len(expression) > _LONGEST:
            raise CompilationError(
                f"compilation failed: expression code point size exceeds limit: size: {len(expression)}, "
                f"limit {_LONGEST}"
            )
        try:
            compiled = self._checker.compile(expression, disable_check=not check)
            checked = decode(compiled.serialize())
        except (RuntimeError, UnicodeError) as error:
            raise CompilationError(f"compilation failed: {_in_upstreams_words(str(error))}") from None
        name = checked.types.get(checked.root.id)
        return Program(
            expression, checked, "dyn" if name is None else name.name, _COMPILER.compile(checked.root)
        )


def parse(expression: str) -> Program:
    """An expression that isn't checked: its variables may be anything, and its structs are maps.

    Raises ValueError, in cel-go's words, for what is no expression.
    """
    try:
        return _unchecked().compile(expression, check=False)
    except CompilationError as error:
        raise ValueError(str(error)) from None


@lru_cache(maxsize=1)
def _unchecked() -> Environment:
    return Environment({})


@lru_cache(maxsize=1)
def _configuration() -> Any:
    from cel_expr_python import cel

    described = {
        "name": "kubernetes",
        "extensions": [{"name": "optional"}, {"name": "two-var-comprehensions"}, {"name": "lists"}],
        "functions": DECLARED.configuration(),
    }
    return cel.NewEnvConfigFromYaml(msgspec.json.encode(described).decode())


def _in_upstreams_words(message: str) -> str:
    """cel-cpp's message as cel-go says it."""
    message = re.sub(r" \[[A-Z_]+\]$", "", message)
    message = re.sub(r"^[A-Z_]+: ", "", message) if not message.startswith("ERROR") else message
    message = re.sub(
        r"undefined field '([^']*)' not found in struct '[^']*'", r"undefined field '\1'", message
    )
    return re.sub(r"object\.T\d+", "object", message)
