"""Asking for an image: by the pod's status, which whoever pulls watches (see `api/kinds/pod/pulls.py`)."""

from __future__ import annotations

from wellhead.api.kinds.pod import pulls
from wellhead.api.meta import Obj
from wellhead.api.resources import PODS
from wellhead.node.pods.state import PodState
from wellhead.node.references import Reference


async def pull(state: PodState, container: Obj) -> str:
    """Ask for the container's image and wait for the answer: "", or why it can't be had.

    Cancelling this leaves the request; it goes with the pod, or with the next answer.
    Raises ApiError, ConnectionLost.
    """
    name = container["name"]
    asked = await _patch(state, pulls.request(name, container["image"]))
    version = int(asked["metadata"]["resourceVersion"])
    while True:
        heard, pod = state.heard, state.pod
        # What stood there before the request is no answer to it.
        if int(pod["metadata"].get("resourceVersion") or 0) > version:
            answer = pulls.answer(pod, name)
            if answer is not None:
                if not answer:
                    await withdraw(state, name)
                return answer
        await heard.wait()


async def withdraw(state: PodState, name: str) -> None:
    """Take a request, or its answer, out of the pod's status. Raises ApiError, ConnectionLost."""
    if pulls.is_asked(state.pod, name):
        await _patch(state, pulls.withdrawal(name))


async def missing_secrets(state: PodState) -> list[str]:
    """Those of the pod's imagePullSecrets that aren't there. Raises ApiError, ConnectionLost."""
    return [
        name for name, found in zip(_secret_names(state), await secrets(state), strict=True) if found is None
    ]


async def secrets(state: PodState) -> list[Obj | None]:
    """The pod's imagePullSecrets; None for one that isn't there. Raises ApiError, ConnectionLost."""
    namespace = state.pod["metadata"]["namespace"]
    get = state.context.references.get
    return [await get(Reference("Secret", namespace, name)) for name in _secret_names(state)]


def _secret_names(state: PodState) -> list[str]:
    listed = state.pod["spec"].get("imagePullSecrets") or ()
    return [str(each["name"]) for each in listed if each.get("name")]


async def _patch(state: PodState, condition: Obj) -> Obj:
    metadata = state.pod["metadata"]
    body = {"metadata": {"uid": metadata["uid"]}, "status": {"conditions": [condition]}}
    return await state.context.client.patch(
        PODS, metadata["name"], body, metadata["namespace"], kind="strategic", subresource="status"
    )
