"""What is wanted of the kernel, held against what it says."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from wellhead.linux.facts import Key, Value
from wellhead.linux.mirror import Mirror

ADDRESS: Key = ("address", "eth0", "10.0.0.1/24")
UP: Key = ("link", "eth0", "up")

_keys = st.sampled_from([ADDRESS, UP, ("rule", 4, 32766), ("setting", 4, "all", "forwarding")])
_values = st.one_of(st.booleans(), st.integers(0, 2))
_steps = st.lists(
    st.one_of(
        st.tuples(st.just("want"), _keys, _values),
        st.tuples(st.just("forget"), _keys, st.none()),
        st.tuples(st.just("note"), _keys, st.one_of(st.none(), _values)),
        st.tuples(st.just("replace"), _keys, _values),
    )
)


@given(_steps)
def test_what_is_wrong_is_what_differs(steps: list[tuple[str, Key, Value | None]]) -> None:
    mirror = Mirror()
    wanted: dict[Key, Value] = {}
    present: dict[Key, Value] = {}
    for step, key, value in steps:
        if step == "want" and value is not None:
            wanted[key] = value
            mirror.want({key: value})
        elif step == "forget":
            wanted.pop(key, None)
            present.pop(key, None)
            mirror.forget([key])
        elif step == "note":
            mirror.note([(key, value)])
            if key in wanted:
                present.pop(key, None)
                if value is not None:
                    present[key] = value
        elif value is not None:
            mirror.replace([(key, value)])
            present = {key: value} if key in wanted else {}
        assert mirror.wrong == {each for each in wanted if present.get(each) != wanted[each]}


def test_an_interface_that_goes_down_or_loses_an_address_is_told() -> None:
    mirror = Mirror()
    assert mirror.note([(ADDRESS, None)]) == {"eth0"}
    assert mirror.note([(UP, False)]) == {"eth0"}
    assert mirror.note([(UP, True), (ADDRESS, True), (("rule", 4, 1), None)]) == set()
