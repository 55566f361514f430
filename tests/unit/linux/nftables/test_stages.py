"""A large first transaction goes to the kernel in stages, of which packets meet the last."""

from __future__ import annotations

from wellhead.linux.nftables.objects import Chain, Element, ElementKey, Hook, Set, Transaction


def filled(*, add_table: bool = False, rebuild: bool = False) -> Transaction:
    return Transaction(
        rebuild=rebuild,
        add_table=add_table,
        add_sets=[Set("services", ())],
        add_chains=[Chain("service", ()), Chain("nat-output", (), Hook("nat", "output", -100))],
        add_elements=[Element(ElementKey("services", bytes([each]))) for each in range(10)],
    )


def test_chains_with_hooks_come_last_and_everything_once() -> None:
    whole = filled(add_table=True)
    stages = list(whole.stages(4))
    assert [[each.name for each in stage.add_chains] for stage in stages] == [
        ["service"],
        [],
        [],
        [],
        ["nat-output"],
    ]
    assert [stage.add_table for stage in stages] == [True, False, False, False, False]
    assert [each for stage in stages for each in stage.add_sets] == whole.add_sets
    assert [each for stage in stages for each in stage.add_elements] == whole.add_elements


def test_a_table_that_is_in_force_changes_at_once() -> None:
    for whole in (filled(), filled(rebuild=True, add_table=True)):
        assert list(whole.stages(4)) == [whole]
