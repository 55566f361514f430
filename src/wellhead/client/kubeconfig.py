"""Kubeconfig files, as kubectl finds and reads them: merged if there are several, asking for credentials.

Source: the kubeconfig format (client-go `clientcmd/api/v1`); client.authentication.k8s.io.
"""

from __future__ import annotations

import base64
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import yaml

from wellhead.api.documents import check_extent
from wellhead.refusal import Refusal

_CREDENTIAL_SECONDS = 60
_MOST_BYTES = 8 << 20
"""Of a kubeconfig: a thousand clusters, with their certificates."""
_YAML = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""The loader in C reads a hundred clusters' kubeconfig in a tenth of the time."""


class KubeconfigError(Refusal, ValueError):
    """A kubeconfig that can't be used; the message says which file and which field."""


def named(kubeconfig: str | None) -> list[Path]:
    """The files that an option or else $KUBECONFIG names; [] if neither does."""
    if kubeconfig:
        return [Path(kubeconfig)]
    return [Path(each) for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]


def read(path: Path) -> dict[str, Any]:
    """What a kubeconfig says. Raises KubeconfigError."""
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise KubeconfigError(
                f"{path}: larger than {_MOST_BYTES >> 20} MiB; what one context needs is written by "
                "`kubectl config view --minify --raw --flatten`"
            )
        text = path.read_text()
        check_extent(text)
        config = yaml.load(text, _YAML)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise KubeconfigError(f"{path}: {error.strerror}") from error
    except (yaml.YAMLError, RecursionError, UnicodeDecodeError) as error:
        raise KubeconfigError(f"{path}: not YAML: {error}") from error
    if not isinstance(config, dict):
        raise KubeconfigError(f"{path}: not a kubeconfig")
    return config


def merged(paths: Sequence[Path]) -> tuple[Path, dict[str, Any]]:
    """What one file says, or several together, then with absolute paths; the first of them, for messages."""
    there = [each for each in paths if each.exists()] or paths[:1]
    if len(there) == 1:
        return there[0], read(there[0])
    merged: dict[str, Any] = {"contexts": [], "clusters": [], "users": []}
    for path in there:
        if not path.stat().st_size:
            continue  # `kubectl config` begins with an empty one
        config = read(path)
        merged["current-context"] = merged.get("current-context") or config.get("current-context")
        for section in ("contexts", "clusters", "users"):
            known = {each.get("name") for each in merged[section]}
            entries = [each for each in config.get(section) or [] if isinstance(each, dict)]
            for each in entries:
                if each.get("name") not in known:
                    known.add(each.get("name"))
                    _from_directory(each.get(section.removesuffix("s")) or {}, path.parent)
                    merged[section].append(each)
    return there[0], merged


def entry(path: Path, config: dict[str, Any], plural: str, name: str) -> dict[str, Any]:
    """What is said of the context, cluster or user of that name. Raises KubeconfigError."""
    singular = plural.removesuffix("s")
    entries = config.get(plural) or []
    for entry in entries if isinstance(entries, list) else ():
        if isinstance(entry, dict) and entry.get("name") == name:
            found = entry.get(singular) or {}
            if not isinstance(found, dict):
                raise KubeconfigError(f"{path}: {singular} {name!r} is not a map")
            for field in _TEXTS:
                if not isinstance(found.get(field) or "", str):
                    raise KubeconfigError(f"{path}: {field} of {singular} {name!r} is not text")
            return found
    raise KubeconfigError(f"{path}: no entry {name!r} in {plural}")


_TEXTS = (
    "server",
    "tls-server-name",
    "certificate-authority",
    "certificate-authority-data",
    "client-certificate",
    "client-certificate-data",
    "client-key",
    "client-key-data",
    "token",
    "tokenFile",
    "namespace",
)


def current(path: Path, config: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is said of the current context, and of its user. Raises KubeconfigError."""
    name = str(config.get("current-context") or "")
    if not name:
        raise KubeconfigError(f"{path}: no current-context: choose one by `kubectl config use-context`")
    context = entry(path, config, "contexts", name)
    return context, entry(path, config, "users", str(context["user"])) if context.get("user") else {}


def ask_program(path: Path, config: dict[str, Any]) -> None:
    """Where a program tells the credentials, as clouds have it, put them in its place.

    Raises:
        KubeconfigError: there is no such context or user, or the program tells none.
    """
    _, user = current(path, config)
    if "exec" not in user:
        return
    plugin = user.pop("exec")
    version = str(plugin.get("apiVersion") or "client.authentication.k8s.io/v1")
    told = {str(each.get("name")): str(each.get("value")) for each in plugin.get("env") or []}
    question = msgspec.json.encode(
        {"apiVersion": version, "kind": "ExecCredential", "spec": {"interactive": False}}
    )
    command = [str(plugin.get("command")), *map(str, plugin.get("args") or [])]
    try:
        answer = subprocess.run(
            command,
            env=os.environ | told | {"KUBERNETES_EXEC_INFO": question.decode()},
            stdout=subprocess.PIPE,
            timeout=_CREDENTIAL_SECONDS,
            check=True,
            cwd=path.parent,
        )
        status = msgspec.json.decode(answer.stdout).get("status") or {}
    except (OSError, subprocess.SubprocessError, msgspec.DecodeError, AttributeError) as error:
        raise KubeconfigError(f"{path}: the credential program {command[0]!r} gave none: {error}") from error
    if status.get("token"):
        user["token"] = status["token"]
    for name, field in (
        ("clientCertificateData", "client-certificate-data"),
        ("clientKeyData", "client-key-data"),
    ):
        if status.get(name):
            user[field] = base64.b64encode(str(status[name]).encode()).decode()


def _from_directory(entry: dict[str, Any], directory: Path) -> None:
    """Make the files that a kubeconfig names absolute: they are relative to it."""
    for field in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
        if entry.get(field):
            entry[field] = str((directory / str(entry[field])).resolve())
