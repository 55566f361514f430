"""Names of a pod's parts that become names of directories.

The API server has validated them; an agent that writes as root doesn't rely on which server it was.
"""

from __future__ import annotations

import re

from wellhead.api.formats import dns_label
from wellhead.api.meta import Obj
from wellhead.node.pods import spec

_UID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}", re.ASCII)


def refusal(pod: Obj) -> str:
    """What is wrong with the names; "" if nothing is."""
    if not _UID.fullmatch(str(pod["metadata"].get("uid") or "")):
        return f"metadata.uid {pod['metadata'].get('uid')!r} can't name a directory"
    for kind, parts in (
        ("container", spec.every_container(pod)),
        ("volume", pod["spec"].get("volumes") or ()),
    ):
        for part in parts:
            if problems := dns_label(str(part.get("name") or "")):
                return f"{kind} name {part.get('name')!r}: {problems[0]}"
    return ""
