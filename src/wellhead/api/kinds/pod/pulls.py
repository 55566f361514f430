"""How a node's agent asks for an image, and hears of it: a condition of the pod for each waiting container.

    type: pull.wellhead.dev/CONTAINER
    status: Unknown, reason Requested       the agent's: this container can't go on without its image
    status: "True", reason Pulled           the puller's: it is on the machine
    status: "False", reason ErrImagePull    the puller's: it isn't, and the message says why

What is to be pulled, and with whose credentials, is in the pod's spec alone: who may write a pod's status can
ask for nothing else. Pure.
"""

from __future__ import annotations

from wellhead.api.meta import Obj, now

PREFIX = "pull.wellhead.dev/"
_MESSAGE_MAX = 2048


def request(container: str, image: str) -> Obj:
    """The agent's condition."""
    return _condition(container, "Unknown", "Requested", f"waits for {image}")


def pulled(container: str) -> Obj:
    """The puller's, if it went well."""
    return _condition(container, "True", "Pulled", "")


def failed(container: str, why: str) -> Obj:
    """The puller's, if it didn't."""
    return _condition(container, "False", "ErrImagePull", why[:_MESSAGE_MAX])


def withdrawal(container: str) -> Obj:
    """What takes the condition out of a status, in a strategic merge patch."""
    return {"type": f"{PREFIX}{container}", "$patch": "delete"}


def _condition(container: str, status: str, reason: str, message: str) -> Obj:
    return {
        "type": f"{PREFIX}{container}",
        "status": status,
        "reason": reason,
        "message": message or None,
        "lastTransitionTime": now(),
    }


def answer(pod: Obj, container: str) -> str | None:
    """What became of a request: "" if the image is there, else why not; None while nobody has said."""
    wanted = f"{PREFIX}{container}"
    for each in (pod.get("status") or {}).get("conditions") or ():
        if each["type"] == wanted and each["status"] in ("True", "False"):
            return "" if each["status"] == "True" else str(each.get("message") or "unknown error")
    return None


def is_asked(pod: Obj, container: str) -> bool:
    """Whether there is a condition for the container at all."""
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(each["type"] == f"{PREFIX}{container}" for each in conditions)


def requested(pod: Obj) -> dict[str, str]:
    """The containers (and `volume.NAME`) of a living pod that wait for the puller, and their images."""
    status = pod.get("status") or {}
    asked = {
        each["type"].removeprefix(PREFIX)
        for each in status.get("conditions") or ()
        if each["type"].startswith(PREFIX) and each["status"] == "Unknown"
    }
    spec = pod.get("spec") or {}
    dead = pod["metadata"].get("deletionTimestamp") or status.get("phase") in ("Succeeded", "Failed")
    if not asked or dead or not spec.get("nodeName"):
        return {}
    kinds = ("initContainers", "containers", "ephemeralContainers")
    images = {
        each["name"]: each["image"] for kind in kinds for each in spec.get(kind) or () if each.get("image")
    }
    for volume in spec.get("volumes") or ():
        if wanted := (volume.get("image") or {}).get("reference"):
            images[f"volume.{volume['name']}"] = wanted  # no container has a dot in its name
    return {name: image for name, image in images.items() if name in asked}
