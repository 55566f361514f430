"""Files of variables, as containers write them for those after them."""

from __future__ import annotations

import pytest

from wellhead.node.pods.env_files import EnvFileError, value

TEXT = """\
# a comment
  \t
ONE='1'
  TWO='a "b" $c \\n = #' # what it is
MANY='first

last'
NONE= 'x'
ONE='2'
"""


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("ONE", "1"),
        ("TWO", 'a "b" $c \\n = #'),
        ("MANY", "first\n\nlast"),
        ("NONE", ""),
        ("OTHER", ""),
        ("one", ""),
    ],
)
def test_values_are_as_they_are_written(name: str, found: str) -> None:
    assert value(TEXT, name) == found
    assert value(TEXT.replace("\n", "\r\n"), name).replace("\r", "") == found


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("ONE", "at line 1: missing '='"),
        ("A='1'\n='x'", "at line 2: empty variable name"),
        ("ONE ='1'", "at line 1: whitespace before '=' is not allowed"),
        ("ONE=1", "at line 1: value must be enclosed in single quotes"),
        ('ONE="1"', "at line 1: value must be enclosed in single quotes"),
        ("A='1'\nONE='1\n\n", "starting at line 2: unclosed single quote"),
        ("ONE='1' x", "at line 1: unexpected content after closing quote"),
    ],
)
def test_what_is_no_such_file_is_refused_with_the_line(text: str, message: str) -> None:
    with pytest.raises(EnvFileError, match=message):
        value(text, "LAST")


def test_what_comes_after_is_not_looked_at() -> None:
    assert value("A='1'\nwhatever", "A") == "1"
