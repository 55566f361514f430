"""CEL, the Common Expression Language, as Kubernetes uses it: rules of custom kinds, policies, conditions.

`Environment(variables).compile(text)` parses and checks (the library cel-expr-python does), and gives a
`Program` that evaluates here: with Kubernetes' own functions, in cel-go's words, and within a budget, so that
no expression can hold up who asks it.
"""

from wellhead.api.cel.environment import (
    Budget,
    BudgetExceeded,
    CompilationError,
    Environment,
    Program,
    TakesLong,
    Trial,
)
from wellhead.api.cel.values import CostExceeded, EvaluationError

__all__ = [
    "Budget",
    "BudgetExceeded",
    "CompilationError",
    "CostExceeded",
    "Environment",
    "EvaluationError",
    "Program",
    "TakesLong",
    "Trial",
]
