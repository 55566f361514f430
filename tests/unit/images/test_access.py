"""Which pods may use an image that is here."""

from __future__ import annotations

import pytest

from wellhead.images import access
from wellhead.images.access import Access, Policy, Pulled
from wellhead.images.registry.credentials import Login

NAME, REPOSITORY = "r.example/team/x:1", "r.example/team/x"
MINE, OTHERS = Login("me", "secret"), Login("them", "other")


def test_what_a_person_put_there_is_everybodys() -> None:
    known = access.after({}, (), (NAME,), None)
    assert known == {}
    assert not Policy().verifies(NAME, access.of(known, NAME))


def test_what_was_pulled_with_credentials_is_for_who_has_them() -> None:
    known = access.after({}, (), (NAME, f"{REPOSITORY}@sha256:{64 * 'a'}"), Pulled(MINE))
    found = access.of(known, f"{REPOSITORY}:2")
    assert Policy().verifies(NAME, found)
    assert access.shows(found, [OTHERS, MINE], REPOSITORY)
    assert not access.shows(found, [OTHERS], REPOSITORY)
    assert not access.shows(found, [Login("me", "Secret")], REPOSITORY)
    assert not access.shows(found, [MINE], "other.example/team/x")
    assert not access.shows(found, (), REPOSITORY)
    assert "secret" not in str(known)


def test_others_credentials_that_do_are_added_once() -> None:
    known: dict[str, Access] = {}
    names: tuple[str, ...] = ()
    for login in (MINE, OTHERS, MINE):
        known = access.after(known, names, (NAME,), Pulled(login))
        names = (NAME,)
    assert len(known[REPOSITORY].credentials) == 2


def test_what_the_registry_gives_to_anyone_is_anyones() -> None:
    known = access.after({}, (), (NAME,), Pulled(MINE))
    known = access.after(known, (NAME,), (NAME,), Pulled(None))
    assert access.of(known, NAME).anyone


def test_a_pull_takes_nothing_from_what_was_preloaded() -> None:
    known = access.after({}, (NAME,), (NAME,), Pulled(MINE))
    assert not Policy().verifies(NAME, access.of(known, NAME))
    assert Policy(access.ALWAYS_VERIFY).verifies(NAME, access.of(known, NAME))


def test_whoever_loads_it_later_opens_it() -> None:
    known = access.after({}, (), (NAME,), Pulled(MINE))
    known = access.after(known, (NAME,), (NAME,), None)
    assert not Policy().verifies(NAME, access.of(known, NAME))


def test_another_repositorys_name_says_nothing_of_this_one() -> None:
    known = access.after({}, ("public.example/x:1",), (NAME,), Pulled(MINE))
    assert not Policy().verifies("public.example/x:1", access.of(known, "public.example/x:1"))
    assert Policy().verifies(NAME, access.of(known, NAME))
    left = access.after(known, ("public.example/x:1",), ("public.example/x:2",), None)
    assert REPOSITORY not in left  # it has no such name any more


def test_an_id_is_no_way_around() -> None:
    known = access.after({}, (), (NAME,), Pulled(MINE))
    by_id = access.of(known, f"sha256:{64 * 'a'}")
    assert Policy().verifies(f"sha256:{64 * 'a'}", by_id)
    assert not Policy().verifies(f"sha256:{64 * 'a'}", access.of({}, f"sha256:{64 * 'a'}"))


@pytest.mark.parametrize(
    ("policy", "verifies"),
    [
        (Policy(access.NEVER_VERIFY), False),
        (Policy(access.NEVER_VERIFY_PRELOADED), True),
        (Policy(access.ALWAYS_VERIFY), True),
        (Policy(access.NEVER_VERIFY_ALLOWLISTED), True),
        (Policy(access.NEVER_VERIFY_ALLOWLISTED, ("r.example/team/*",)), False),
        (Policy(access.NEVER_VERIFY_ALLOWLISTED, ("r.example/team/x",)), False),
        (Policy(access.NEVER_VERIFY_ALLOWLISTED, ("r.example/team", "r.example/te/*")), True),
    ],
)
def test_policies(policy: Policy, verifies: bool) -> None:
    assert policy.verifies(NAME, Access(credentials=("x",))) == verifies


@pytest.mark.parametrize("pattern", ["", "*", "r.example/x:1", "r.example/*/x", "r.example/x@sha256:0"])
def test_a_pattern_of_the_list_names_no_tag(pattern: str) -> None:
    assert access.allowlist_problem(pattern)
    assert access.allowlist_problem("r.example:5000/x/*") is None
