"""From a pod's spec and an image to what the runtime needs to make a container."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from wellhead.api.meta import Obj
from wellhead.node.images.store import Image
from wellhead.node.pods import environment, security, spec
from wellhead.node.pods.state import PodState
from wellhead.node.runtime.oci import Container, Mount

_PROPAGATION = {"HostToContainer": "rslave", "Bidirectional": "rshared"}


class ConfigError(Exception):
    """The spec asks for something that can't be (a subPath outside of its volume, an empty command)."""


async def plan(state: PodState, container: Obj, image: Image, id: str, number: int) -> Container:
    """Everything about the container's next run.

    Raises:
        ConfigError, SecurityError, VariableError: what the spec asks for can't be had (now).
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
        raise ConfigError(f"neither the container nor its image {image.names[0]} has a command")
    own: Obj = container.get("securityContext") or {}
    of_pod: Obj = pod["spec"].get("securityContext") or {}
    return Container(
        id=id,
        bundle=state.bundle(name, number),
        rootfs=rootfs,
        log=state.log(name, number),
        args=(*command, *args),
        env=tuple(f"{key}={value}" for key, value in variables.items()),
        cwd=container.get("workingDir") or image.config.working_dir or "/",
        user=security.user(pod, container, image.config.user, rootfs),
        terminal=bool(container.get("tty")),
        stdin=bool(container.get("stdin")),
        stdin_once=bool(container.get("stdinOnce")),
        mounts=_mounts(state, container, variables, number),
        namespaces=state.sandbox.namespaces(pod),
        capabilities=security.capabilities(own, context.capabilities),
        privileged=bool(own.get("privileged")),
        read_only_rootfs=bool(own.get("readOnlyRootFilesystem")),
        no_new_privileges=own.get("allowPrivilegeEscalation") is False,
        sysctls={each["name"]: str(each["value"]) for each in of_pod.get("sysctls") or ()},
    )


async def _variables(state: PodState, container: Obj, image: Image) -> dict[str, str]:
    pod, context = state.pod, state.context
    variables = dict(each.split("=", 1) for each in image.config.env if "=" in each)
    variables["HOSTNAME"] = spec.hostname(pod)
    if container.get("tty"):
        variables["TERM"] = "xterm"
    links = pod["spec"].get("enableServiceLinks", True) is not False
    services = environment.service_variables(context.services, pod["metadata"]["namespace"], links=links)
    known = _with_addresses(state)
    return variables | await environment.variables(
        known, container, services, context.references.get, context.allocatable
    )


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


def _mounts(state: PodState, container: Obj, variables: dict[str, str], number: int) -> tuple[Mount, ...]:
    volumes = {volume["name"]: volume for volume in state.pod["spec"].get("volumes") or ()}
    found: list[Mount] = []
    for each in container.get("volumeMounts") or ():
        volume = volumes.get(each["name"])
        if volume is None:
            raise ConfigError(f"volume {each['name']!r} of container {container['name']!r} is not in the pod")
        part = each.get("subPath") or environment.expand(each.get("subPathExpr") or "", variables)
        source = state.volumes.path(volume)
        read_only = bool(each.get("readOnly")) or any(
            kind in volume for kind in ("configMap", "secret", "projected", "downwardAPI")
        )
        propagation = _PROPAGATION.get(each.get("mountPropagation") or "", "rprivate")
        target = each["mountPath"] if each["mountPath"].startswith("/") else "/" + each["mountPath"]
        found.append(Mount(_part(source, part) if part else source, target, read_only, propagation))
    taken = {os.path.normpath(mount.target) for mount in found}
    own = [
        Mount(state.sandbox.files / "hosts", "/etc/hosts"),
        Mount(state.sandbox.files / "hostname", "/etc/hostname"),
        Mount(state.sandbox.files / "resolv.conf", "/etc/resolv.conf"),
        Mount(state.sandbox.shm, "/dev/shm", options=("nosuid", "noexec", "nodev")),  # noqa: S108 the pod's
        _termination_log(state, container, number),
    ]
    return (*(mount for mount in own if mount.target not in taken), *sorted(found, key=_depth))


def _depth(mount: Mount) -> int:
    return os.path.normpath(mount.target).count("/")


def _termination_log(state: PodState, container: Obj, number: int) -> Mount:
    path = state.termination_log(container["name"], number)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    path.chmod(stat.S_IRUSR | stat.S_IWUSR | stat.S_IRGRP | stat.S_IWGRP | stat.S_IROTH | stat.S_IWOTH)
    return Mount(path, container.get("terminationMessagePath") or "/dev/termination-log")


def _part(volume: Path, part: str) -> Path:
    """A subPath in a volume, made as a directory if it is not there. Raises ConfigError if it leads out."""
    top = Path(os.path.realpath(volume))
    path = Path(os.path.realpath(top / part))
    if path != top and top not in path.parents:
        raise ConfigError(f"subPath {part!r} leads out of its volume")
    if not path.exists():
        path.mkdir(parents=True, mode=0o755)
    return path
