"""From a pod's spec and an image to what the runtime needs to make a container."""

from __future__ import annotations

import asyncio
from pathlib import Path

from wellhead.api.meta import Obj
from wellhead.images.store import Image
from wellhead.linux import paths
from wellhead.linux.proc import machine_memory
from wellhead.node.pods import environment, mounting, oom, security, spec
from wellhead.node.pods.state import PodState
from wellhead.node.runtime.cgroups import Limits
from wellhead.node.runtime.oci import Container


class ConfigError(Exception):
    """The spec asks for something that can't be (an empty command)."""


async def plan(state: PodState, container: Obj, image: Image, id: str, number: int) -> Container:
    """Everything about the container's next run.

    Raises:
        ConfigError, MountError, SecurityError, VariableError: what the spec asks for can't be had (now).
        ApiError, ConnectionLost: a ConfigMap or Secret can't be read now.
    """
    pod, context, name = state.pod, state.context, container["name"]
    variables = await _variables(state, container, image)
    rootfs = context.images.rootfs(image)
    command = [environment.expand(each, variables) for each in container.get("command") or ()]
    args = [environment.expand(each, variables) for each in container.get("args") or ()]
    if not command:
        command = list(image.config.entrypoint)
        args = args or list(image.config.cmd)
    if not command + args:
        raise ConfigError(f"neither the container nor its image {container['image']} has a command")
    own: Obj = container.get("securityContext") or {}
    of_pod: Obj = pod["spec"].get("securityContext") or {}
    capabilities = security.capabilities(own, security.available(pod, context.capabilities))
    return Container(
        id=id,
        bundle=state.bundle(name, number),
        rootfs=rootfs,
        log=state.log(name, number),
        args=(*command, *args),
        env=tuple(f"{key}={value}" for key, value in variables.items()),
        cwd=container.get("workingDir") or image.config.working_dir or "/",
        user=await asyncio.to_thread(security.user, pod, container, image.config.user, rootfs),
        terminal=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        mounts=await asyncio.to_thread(mounting.mounts, state, container, variables, number),
        volumes=image.config.volumes,
        namespaces=await asyncio.to_thread(_namespaces, state, container),
        first_id=state.record.first_id,
        capabilities=capabilities,
        seccomp=await asyncio.to_thread(context.seccomp.of, pod, container, capabilities),
        privileged=bool(own.get("privileged")),
        unmasked=own.get("procMount") == "Unmasked",
        read_only_rootfs=bool(own.get("readOnlyRootFilesystem")),
        no_new_privileges=own.get("allowPrivilegeEscalation") is False,
        oom_score=_oom_score(state, container),
        limits=Limits.of(state.effective(container)),
        pod=state.in_all,
        sysctls={each["name"]: str(each["value"]) for each in of_pod.get("sysctls") or ()},
    )


_MOST_VARIABLES = 1 << 20  # bytes of a file of them
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Of an image that says none, as container runtimes have it."""


def _oom_score(state: PodState, container: Obj) -> int:
    """What upstream's rule gives, but no less than the agent's own without the right to have it lower."""
    score = oom.score(state.granted_pod, container, machine_memory())
    if "CAP_SYS_RESOURCE" in state.context.capabilities:
        return score
    return max(score, int(Path("/proc/self/oom_score_adj").read_text()))


def _namespaces(state: PodState, container: Obj) -> dict[str, Path | None]:
    """The pod's, and the process namespace of the container that an ephemeral one is to look at."""
    found = state.sandbox.namespaces(state.pod)
    target = container.get("targetContainerName")
    if target and "pid" not in found:
        attempt = state.record.of(target).current
        if attempt is None or not attempt.running:
            raise ConfigError(f'unable to find target container "{target}": it is not running')
        try:
            pid = int((state.bundle(target, attempt.number) / "pid").read_text())
        except (OSError, ValueError):
            raise ConfigError(f'unable to find target container "{target}"') from None
        found["pid"] = Path(f"/proc/{pid}/ns/pid")
    return found


async def _variables(state: PodState, container: Obj, image: Image) -> dict[str, str]:
    pod, context = state.pod, state.context
    variables = {"PATH": _PATH} | dict(each.split("=", 1) for each in image.config.env if "=" in each)
    variables["HOSTNAME"] = spec.kernel_hostname(pod, context.dns.domain)
    if container.get("tty"):
        variables["TERM"] = "xterm"
    links = pod["spec"].get("enableServiceLinks", True) is not False
    services = environment.service_variables(context.services, pod["metadata"]["namespace"], links=links)
    known = _with_addresses(state)
    return variables | await environment.variables(
        known,
        container,
        services,
        context.references.get,
        context.allocatable,
        lambda name, path: asyncio.to_thread(_read, state, name, path),
    )


def _read(state: PodState, name: str, path: str) -> bytes:
    """A file that one of the pod's containers has written. Raises OSError, ValueError."""
    volumes = state.pod["spec"].get("volumes") or ()
    volume = next((each for each in volumes if each["name"] == name and "emptyDir" in each), None)
    if volume is None:
        raise ValueError(f"cannot find the volume {name!r}")
    with paths.directory(state.volumes.path(volume)) as top:
        return paths.read_file(top, path, _MOST_VARIABLES, paths.BENEATH)


def _with_addresses(state: PodState) -> Obj:
    """The pod as it will look once its status is written: status.podIP is known before that."""
    host_ips = state.context.host_ips
    addresses = {
        "podIP": state.ip,
        "podIPs": [{"ip": ip} for ip in state.ips],
        "hostIP": host_ips[0],
        "hostIPs": [{"ip": ip} for ip in host_ips],
    }
    return state.pod | {"status": (state.pod.get("status") or {}) | addresses}
