"""The checks of the level baseline: known ways out of a pod are closed."""

from __future__ import annotations

from functools import partial
from typing import Any

from wellhead.api.meta import Obj
from wellhead.api.names import SECCOMP_ANNOTATION
from wellhead.api.pod_security.words import (
    Finding,
    Versioned,
    containers,
    context,
    plural,
    quoted,
    setters,
    those,
)

_CAPABILITIES = frozenset(
    {
        "AUDIT_WRITE",
        "CHOWN",
        "DAC_OVERRIDE",
        "FOWNER",
        "FSETID",
        "KILL",
        "MKNOD",
        "NET_BIND_SERVICE",
        "SETFCAP",
        "SETGID",
        "SETPCAP",
        "SETUID",
        "SYS_CHROOT",
    }
)
_APP_ARMOR = "container.apparmor.security.beta.kubernetes.io/"
_SECCOMP_CONTAINER = "container.seccomp.security.alpha.kubernetes.io/"
_SELINUX = frozenset({"", "container_t", "container_init_t", "container_kvm_t"})
_SYSCTLS = frozenset(
    {
        "kernel.shm_rmid_forced",
        "net.ipv4.ip_local_port_range",
        "net.ipv4.tcp_syncookies",
        "net.ipv4.ping_group_range",
        "net.ipv4.ip_unprivileged_port_start",
    }
)
_SYSCTLS_27 = _SYSCTLS | {"net.ipv4.ip_local_reserved_ports"}
_SYSCTLS_29 = _SYSCTLS_27 | {
    "net.ipv4.tcp_keepalive_time",
    "net.ipv4.tcp_fin_timeout",
    "net.ipv4.tcp_keepalive_intvl",
    "net.ipv4.tcp_keepalive_probes",
}
_SYSCTLS_32 = _SYSCTLS_29 | {"net.ipv4.tcp_rmem", "net.ipv4.tcp_wmem"}


def _app_armor(metadata: Obj, spec: Obj) -> Finding | None:
    def is_bad(holder: Obj) -> bool:
        profile = context(holder).get("appArmorProfile")
        return profile is not None and profile.get("type") not in ("RuntimeDefault", "Localhost")

    names = [each["name"] for each in containers(spec) if is_bad(each)]
    bad = [
        context(each)["appArmorProfile"].get("type") or ""
        for each in (spec, *containers(spec))
        if is_bad(each)
    ]
    values = sorted(set(bad))
    annotations = sorted(
        f'{name}="{value}"'
        for name, value in (metadata.get("annotations") or {}).items()
        if name.startswith(_APP_ARMOR)
        and value not in ("", "runtime/default")
        and not value.startswith("localhost/")
    )
    who = setters(is_bad(spec), names)
    if annotations:
        who = " and ".join(filter(None, (who, plural("annotation", len(annotations)))))
    if not who:
        return None
    values += annotations
    what = plural("forbidden AppArmor profile", len(values))
    return Finding(what, f"{who} must not set AppArmor profile type to {quoted(values)}")


def _capabilities(metadata: Obj, spec: Obj) -> Finding | None:
    added = {
        each["name"]: set((context(each).get("capabilities") or {}).get("add") or ()) - _CAPABILITIES
        for each in containers(spec)
    }
    names = [name for name, extra in added.items() if extra]
    if not names:
        return None
    extra = sorted(set().union(*added.values()))
    where = f"must not include {quoted(extra)} in securityContext.capabilities.add"
    return Finding("non-default capabilities", f"{those('container', names)} {where}")


def _host_namespaces(metadata: Obj, spec: Obj) -> Finding | None:
    found = [f"{field}=true" for field in ("hostNetwork", "hostPID", "hostIPC") if spec.get(field)]
    return Finding("host namespaces", ", ".join(found)) if found else None


def _host_paths(metadata: Obj, spec: Obj) -> Finding | None:
    names = [each["name"] for each in spec.get("volumes") or () if each.get("hostPath") is not None]
    return Finding("hostPath volumes", those("volume", names)) if names else None


def _host_ports(metadata: Obj, spec: Obj) -> Finding | None:
    ports = {
        each["name"]: [str(port["hostPort"]) for port in each.get("ports") or () if port.get("hostPort")]
        for each in containers(spec)
    }
    names = [name for name, found in ports.items() if found]
    if not names:
        return None
    numbers = sorted({number for found in ports.values() for number in found})
    uses = "uses" if len(names) == 1 else "use"
    what = f"{uses} {plural('hostPort', len(numbers))} {', '.join(numbers)}"
    return Finding("hostPort", f"{those('container', names)} {what}")


def _other_hosts(metadata: Obj, spec: Obj) -> Finding | None:
    """A probe or hook that the node's agent would direct at something else."""
    hosts: dict[str, set[str]] = {}
    for each in containers(spec):
        lifecycle = each.get("lifecycle") or {}
        actions = [each.get(f"{kind}Probe") for kind in ("liveness", "readiness", "startup")]
        actions += [lifecycle.get(hook) for hook in ("postStart", "preStop")]
        for action in filter(None, actions):
            for kind in ("httpGet", "tcpSocket"):
                if host := (action.get(kind) or {}).get("host"):
                    hosts.setdefault(each["name"], set()).add(host)
    if not hosts:
        return None
    every = sorted(set().union(*hosts.values()))
    uses = "uses" if len(hosts) == 1 else "use"
    what = f"{uses} {plural('probe or lifecycle host', len(every))} {quoted(every)}"
    return Finding("probe or lifecycle host", f"{those('container', sorted(hosts))} {what}")


def _privileged(metadata: Obj, spec: Obj) -> Finding | None:
    names = [each["name"] for each in containers(spec) if context(each).get("privileged")]
    if not names:
        return None
    return Finding("privileged", f"{those('container', names)} must not set securityContext.privileged=true")


def proc_mount(metadata: Obj, spec: Obj) -> Finding | None:
    kinds = {each["name"]: context(each).get("procMount") for each in containers(spec)}
    names = [name for name, kind in kinds.items() if kind not in (None, "Default")]
    if not names:
        return None
    values = quoted(sorted({kind for kind in kinds.values() if kind not in (None, "Default")}))
    return Finding(
        "procMount", f"{those('container', names)} must not set securityContext.procMount to {values}"
    )


def _proc_mount_of_users(metadata: Obj, spec: Obj) -> Finding | None:
    """With users of its own, a pod may see all of its /proc."""
    return None if spec.get("hostUsers") is False else proc_mount(metadata, spec)


def _selinux(allowed: frozenset[str], metadata: Obj, spec: Obj) -> Finding | None:
    types: set[str] = set()
    said: set[str] = set()

    def is_bad(holder: Obj) -> bool:
        options: dict[str, Any] | None = context(holder).get("seLinuxOptions")
        if options is None:
            return False
        kind = options.get("type") or ""
        if kind not in allowed:
            types.add(kind)
        named = {field for field in ("user", "role") if options.get(field)}
        said.update(named)
        return kind not in allowed or bool(named)

    of_pod = is_bad(spec)
    names = [each["name"] for each in containers(spec) if is_bad(each)]
    if not of_pod and not names:
        return None
    data = [those("type", sorted(types))] if types else []
    data += [f"{field} may not be set" for field in ("user", "role") if field in said]
    who = setters(of_pod, names)
    return Finding("seLinuxOptions", f"{who} set forbidden securityContext.seLinuxOptions: {'; '.join(data)}")


def _seccomp_annotations(metadata: Obj, spec: Obj) -> Finding | None:
    annotations = metadata.get("annotations") or {}
    keys = [SECCOMP_ANNOTATION, *(f"{_SECCOMP_CONTAINER}{each['name']}" for each in containers(spec))]
    found = sorted(
        f'{key}="{annotations[key]}"'
        for key in keys
        if key in annotations
        and annotations[key] not in ("runtime/default", "docker/default")
        and not annotations[key].startswith("localhost/")
    )
    if not found:
        return None
    return Finding("seccompProfile", f"forbidden {plural('annotation', len(found))} {', '.join(found)}")


def seccomp_type(holder: Obj) -> str | None:
    """None: nothing is said."""
    profile = context(holder).get("seccompProfile")
    return None if profile is None else profile.get("type") or ""


def seccomp(metadata: Obj, spec: Obj) -> Finding | None:
    def is_bad(holder: Obj) -> bool:
        return seccomp_type(holder) not in (None, "Localhost", "RuntimeDefault")

    names = [each["name"] for each in containers(spec) if is_bad(each)]
    if not is_bad(spec) and not names:
        return None
    values = sorted({seccomp_type(each) or "" for each in (spec, *containers(spec)) if is_bad(each)})
    where = f"must not set securityContext.seccompProfile.type to {quoted(values)}"
    return Finding("seccompProfile", f"{setters(is_bad(spec), names)} {where}")


def _sysctls(allowed: frozenset[str], metadata: Obj, spec: Obj) -> Finding | None:
    names = [each["name"] for each in context(spec).get("sysctls") or () if each["name"] not in allowed]
    return Finding("forbidden sysctls", ", ".join(names)) if names else None


def _host_process(metadata: Obj, spec: Obj) -> Finding | None:
    def is_bad(holder: Obj) -> bool:
        return bool((context(holder).get("windowsOptions") or {}).get("hostProcess"))

    names = [each["name"] for each in containers(spec) if is_bad(each)]
    if not is_bad(spec) and not names:
        return None
    who = setters(is_bad(spec), names)
    return Finding("hostProcess", f"{who} must not set securityContext.windowsOptions.hostProcess=true")


CHECKS: Versioned = {
    "appArmorProfile": ((0, _app_armor),),
    "capabilities_baseline": ((0, _capabilities),),
    "hostNamespaces": ((0, _host_namespaces),),
    "hostPathVolumes": ((0, _host_paths),),
    "hostPorts": ((0, _host_ports),),
    "hostProbesAndHostLifecycle": ((34, _other_hosts),),
    "privileged": ((0, _privileged),),
    "procMount": ((0, proc_mount), (35, _proc_mount_of_users)),
    "seLinuxOptions": (
        (0, partial(_selinux, _SELINUX)),
        (31, partial(_selinux, _SELINUX | {"container_engine_t"})),
    ),
    "seccompProfile_baseline": ((0, _seccomp_annotations), (19, seccomp)),
    "sysctls": (
        (0, partial(_sysctls, _SYSCTLS)),
        (27, partial(_sysctls, _SYSCTLS_27)),
        (29, partial(_sysctls, _SYSCTLS_29)),
        (32, partial(_sysctls, _SYSCTLS_32)),
    ),
    "windowsHostProcess": ((0, _host_process),),
}
"""By upstream's ids; each way of checking with the minor version since which it is so."""
