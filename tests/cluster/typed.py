"""The commands of a document, as a person types them: its indented blocks, run by bash on the host."""

from __future__ import annotations

import os
import re
import subprocess
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

from tests.cluster.lab import BIN, Lab
from tests.patience import PATIENCE

ROOT = Path(__file__).parents[2]


def blocks(text: str) -> list[str]:
    """The blocks of commands in a Markdown text: what is indented by four or more behind an empty line."""
    found = re.findall(r"(?:(?<=\n\n)|\A)((?:[ ]{4,}\S.*(?:\n|\Z))+)", text)
    return [textwrap.dedent(each).rstrip() for each in found]


@dataclass
class Reader:
    """Somebody who reads `document` and types what it says, in a directory of their own with deploy/."""

    lab: Lab
    document: str
    directory: Path
    typed: set[str] = field(default_factory=set)
    programs: str = ""
    """A directory of programs that they have besides."""

    def type(self, beginning: str, times: int = 1) -> str:
        """Run the block that begins so; what it printed. Fails if there isn't exactly one."""
        [block] = (each for each in self.blocks() if each.startswith(beginning))
        self.typed.add(block)
        return self.run(block)

    def type_in_text(self, command: str) -> str:
        """Run a command that stands in the text, between backticks."""
        assert f"`{command}`" in " ".join(self._text().split())
        return self.run(command)

    def run(self, commands: str) -> str:
        environment = os.environ | {
            "PATH": ":".join(filter(None, (str(BIN), self.programs, os.environ["PATH"]))),
            "KUBECONFIG": self.lab.kubeconfig,
            "WELLHEAD_NAME": self.lab.name,
        }
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", commands],
            cwd=self.directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=5 * PATIENCE,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}{done.stderr}"
        return done.stdout

    def blocks(self) -> list[str]:
        return blocks(self._text())

    def _text(self) -> str:
        return (ROOT / "docs" / self.document).read_text()
