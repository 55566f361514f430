"""The functions of expressions, a file for each library of upstream's, and all of them together."""

from wellhead.api.cel.ast import DOTTED
from wellhead.api.cel.functions.authorizer import AUTHORIZATION
from wellhead.api.cel.functions.collections import BEHIND_MACROS, COLLECTIONS
from wellhead.api.cel.functions.kubernetes import CONVERSIONS, KUBERNETES
from wellhead.api.cel.functions.regex import REGEX
from wellhead.api.cel.functions.standard import STANDARD
from wellhead.api.cel.functions.strings import STRINGS
from wellhead.api.cel.functions.table import Functions

DECLARED = Functions((*STRINGS, *COLLECTIONS, *REGEX, *KUBERNETES, *AUTHORIZATION))
"""Those that the checker has to be told of."""

FUNCTIONS = Functions((*STANDARD, *BEHIND_MACROS, *CONVERSIONS, *DECLARED.all))

DOTTED.update(each.name for each in FUNCTIONS.all if "." in each.name)

__all__ = ["DECLARED", "FUNCTIONS"]
