"""What a helper process does when nobody waits for it any more."""

from __future__ import annotations

import os

from wellhead.lab import machines


def test_a_helper_whose_caller_was_killed_does_not_go_on_with_its_callers_work() -> None:
    gate, go = os.pipe()
    told, tell = os.pipe()
    caller = os.fork()
    if caller == 0:
        try:
            machines.start_child(lambda: os.read(gate, 1).decode())
        except BaseException:  # in the helper: it has left its own work
            os.write(tell, b"!")
        finally:
            os._exit(0)
    os.close(tell)
    try:
        os.waitpid(caller, 0)
        os.write(go, b"x")
        assert os.read(told, 1) == b"", "the helper went on as its caller"
    finally:
        for each in (gate, go, told):
            os.close(each)
