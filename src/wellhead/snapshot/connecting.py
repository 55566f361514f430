"""The API server of the current kubeconfig, found as kubectl finds it, and what it tells."""

from __future__ import annotations

import asyncio
import base64
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wellhead.api.errors import ApiError
from wellhead.client.connection import Connection, KubeconfigError, load, of_config, read
from wellhead.client.rest import ConnectionLost
from wellhead.snapshot.cluster import Reading, read_cluster
from wellhead.snapshot.sources import NoSource
from wellhead.waiting import first_error

_CREDENTIAL_SECONDS = 60


def reading_of(kubeconfig: str | None, namespace: str, context: str | None = None) -> Reading:
    """What a cluster tells. Raises NoSource."""
    try:
        connection = connect(kubeconfig, context)
        return asyncio.run(read_cluster(connection, namespace or connection.namespace))
    except KubeconfigError as error:
        raise NoSource(f"{error}; or give manifests with -f") from error
    except ConnectionLost as error:
        raise NoSource(f"the API server can't be reached: {error}") from error
    except ExceptionGroup as group:
        first = first_error(group)
        if isinstance(first, ConnectionLost):
            raise NoSource(f"the API server can't be reached: {first}") from group
        if isinstance(first, ApiError):
            raise NoSource(f"the API server can't be read: {first}") from group
        raise


def connect(kubeconfig: str | None, context: str | None = None) -> Connection:
    """As kubectl finds its cluster: --kubeconfig, $KUBECONFIG, ~/.kube/config, a pod's service account.

    Of several files in $KUBECONFIG, those that aren't there are left out; the first that has a name decides.
    """
    usual = Path.home() / ".kube" / "config"
    paths = [Path(each) for each in os.environ.get("KUBECONFIG", "").split(os.pathsep) if each]
    if kubeconfig:
        paths = [Path(kubeconfig)]
    elif not paths and usual.exists():
        paths = [usual]
    if not paths and not context:
        return load(None)
    if not paths:
        raise KubeconfigError("there is no kubeconfig for --context: pass --kubeconfig or set KUBECONFIG")
    path, config = _merged(paths)
    if context:
        config["current-context"] = context
    try:
        return of_config(path, config)
    except KubeconfigError as error:
        if "user.exec" not in str(error):
            raise
        return _with_credentials(path, config)


def _merged(paths: Sequence[Path]) -> tuple[Path, dict[str, Any]]:
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


def _with_credentials(path: Path, config: dict[str, Any]) -> Connection:
    """A kubeconfig whose user is told by a program (client.authentication.k8s.io), as clouds do."""
    import msgspec

    context = next(
        (
            e.get("context") or {}
            for e in config.get("contexts") or []
            if e.get("name") == config.get("current-context")
        ),
        {},
    )
    user = next(
        (e.get("user") or {} for e in config.get("users") or [] if e.get("name") == context.get("user")), {}
    )
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
    return of_config(path, config)


def _from_directory(entry: dict[str, Any], directory: Path) -> None:
    """Make the files that a kubeconfig names absolute: they are relative to it."""
    for field in ("certificate-authority", "client-certificate", "client-key", "tokenFile"):
        if entry.get(field):
            entry[field] = str((directory / str(entry[field])).resolve())
