"""The parts of the document that a person notices first."""

from __future__ import annotations

import re

import pexpect

from tests.cluster.lab import BIN, Lab
from tests.patience import PATIENCE


def test_kubectl_run_it_is_interactive_on_a_terminal(lab: Lab) -> None:
    terminal: pexpect.spawn[str] = pexpect.spawn(
        str(BIN / "kubectl"),
        ["--kubeconfig", lab.kubeconfig, "run", "box", "-it", "--image=busybox", "--restart=Never", "--rm"],
        encoding="utf-8",
        dimensions=(33, 111),
        timeout=PATIENCE,
    )
    try:
        terminal.expect_exact("/ # ")
        # kubectl first sends one more of each.
        terminal.sendline("until stty size | grep -x '33 111'; do :; done")
        terminal.expect(r"\r\n33 111\r\n")  # the size is passed on
        terminal.setwinsize(44, 99)
        terminal.expect_exact("/ # ")
        terminal.sendline("until stty size | grep -x '44 99'; do :; done")
        terminal.expect(r"\r\n44 99\r\n")  # and so is a change of it
        terminal.sendline("echo sleeping; sleep 600")
        terminal.expect(r"\r\nsleeping\r\n")  # a Ctrl-C before that would be a key in the shell's line editor
        terminal.sendcontrol("c")
        terminal.expect_exact("/ # ")
        terminal.sendline("exit 3")
        terminal.expect('pod "box" deleted')
        terminal.expect(pexpect.EOF)
        terminal.close()
        assert terminal.exitstatus == 3
    finally:
        terminal.close(force=True)
    assert lab.kubectl("get", "pod", "box", "--ignore-not-found") == ""


def test_stdin_is_piped_into_a_pod(lab: Lab) -> None:
    command = (
        "run",
        "pipe",
        "-i",
        "--image=busybox",
        "--restart=Never",
        "--rm",
        "-q",
        "--",
        "sh",
        "-c",
        "wc -c",
    )
    assert re.search(r"^\s*100000$", lab.kubectl(*command, stdin="x" * 100_000), re.MULTILINE)


def test_the_clients_shell_has_kubectl_and_the_clients_address(lab: Lab) -> None:
    assert "node-3" in lab.wellhead("exec", "client", "--", "kubectl", "get", "nodes")
    assert "inet 198.51.100.79/24" in lab.on("client", "ip", "addr")
