"""Files that are there whole, or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from wellhead.linux import files


@pytest.mark.parametrize("kind", ["file", "tree"])
def test_what_is_finished_gets_its_name_in_one_step(tmp_path: Path, kind: str) -> None:
    made, final = tmp_path / "made", tmp_path / "final"
    if kind == "tree":
        made.mkdir()
        (made / "within").write_text("x")
    else:
        made.write_text("x")
        final.write_text("before")
    files.put_in_place(made, final)
    assert not made.exists()
    assert (final / "within" if kind == "tree" else final).read_text() == "x"


def test_what_cannot_be_written_whole_leaves_all_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    files.write_atomically(path, b"before")

    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match=r"No space left on device: .*/file"):
        files.write_atomically(path, b"after")
    assert [(each.name, each.read_bytes()) for each in tmp_path.iterdir()] == [("file", b"before")]
