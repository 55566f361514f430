"""Where the API server is and who we are: from a kubeconfig file or from a pod's service account.

Source: "Accessing the API from within a pod".
"""

from __future__ import annotations

import base64
import binascii
import os
import ssl
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from wellhead.client.kubeconfig import KubeconfigError, ask_program, current, entry, merged, named
from wellhead.ip import bracketed

_SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_TOKEN_REREAD_SECONDS = 60.0
_OTHER_CREDENTIALS = ("exec", "auth-provider", "username")
_IMPERSONATION = ("as", "as-uid", "as-groups", "as-user-extra")


@dataclass
class TokenFile:
    """A bearer token in a file that its issuer rotates: read again at most once a minute."""

    path: Path
    _token: str = field(default="", repr=False)
    _read_at: float = -_TOKEN_REREAD_SECONDS

    def token(self) -> str:
        """The token. Raises OSError if the file has never been readable."""
        if time.monotonic() - self._read_at >= _TOKEN_REREAD_SECONDS:
            try:
                self._token = self.path.read_text().strip()
            except OSError:
                if not self._token:
                    raise
            self._read_at = time.monotonic()
        return self._token


@dataclass(frozen=True)
class Connection:
    """An API server's URL and the credentials to use there."""

    server: str
    ssl_context: ssl.SSLContext | None = None
    bearer: str | TokenFile | None = field(default=None, repr=False)
    server_hostname: str | None = None
    namespace: str = "default"

    def headers(self) -> dict[str, str]:
        """The request headers that authenticate; none with a client certificate."""
        if self.bearer is None:
            return {}
        token = self.bearer if isinstance(self.bearer, str) else self.bearer.token()
        return {"Authorization": f"Bearer {token}"}


def load(kubeconfig: str | None, master: str | None = None) -> Connection:
    """Find the API server as every Kubernetes component does.

    `kubeconfig` names the file; without it $KUBECONFIG names one or several, and without that the process is
    taken to run in a pod. `master` overrides the server's URL.

    Raises:
        KubeconfigError: the file is missing or can't be used, or there is no way to find an API server.
    """
    if paths := named(kubeconfig):
        return of_config(*merged(paths), master)
    if (_SERVICE_ACCOUNT / "token").exists():
        return _in_cluster(master)
    raise KubeconfigError("no API server: pass --kubeconfig, set KUBECONFIG, or run in a pod")


def connect(kubeconfig: str | None, context: str | None = None) -> Connection:
    """As kubectl finds its cluster: --kubeconfig, $KUBECONFIG, ~/.kube/config, a pod's service account.

    Of several files in $KUBECONFIG, those that aren't there are left out; the first that has a name decides.
    """
    usual = Path.home() / ".kube" / "config"
    paths = named(kubeconfig) or ([usual] if usual.exists() else [])
    if not paths and not context:
        return load(None)
    if not paths:
        raise KubeconfigError("there is no kubeconfig for --context: pass --kubeconfig or set KUBECONFIG")
    path, config = merged(paths)
    if context:
        config["current-context"] = context
    ask_program(path, config)
    return of_config(path, config)


def _in_cluster(master: str | None) -> Connection:
    host, port = (
        os.environ.get("KUBERNETES_SERVICE_HOST", ""),
        os.environ.get("KUBERNETES_SERVICE_PORT", "443"),
    )
    if not (master or host):
        raise KubeconfigError("KUBERNETES_SERVICE_HOST is not set in this pod; pass --kubeconfig")
    return Connection(
        server=master or f"https://{bracketed(host)}:{port}",
        ssl_context=ssl.create_default_context(cafile=str(_SERVICE_ACCOUNT / "ca.crt")),
        bearer=TokenFile(_SERVICE_ACCOUNT / "token"),
        namespace=(_SERVICE_ACCOUNT / "namespace").read_text().strip() or "default",
    )


def of_config(path: Path, config: dict[str, Any], master: str | None = None) -> Connection:
    """The API server and the user of its current context; files are relative to `path`.

    Raises:
        KubeconfigError: an entry is missing or can't be used.
    """
    context, user = current(path, config)
    cluster = entry(path, config, "clusters", str(context.get("cluster") or ""))
    server = master or str(cluster.get("server") or "")
    if not server:
        raise KubeconfigError(f"{path}: the cluster has no server")
    for unsupported in _OTHER_CREDENTIALS:
        if unsupported in user:
            raise KubeconfigError(
                f"{path}: user.{unsupported} is not supported; use a client certificate, token or tokenFile"
            )
    if any(user.get(each) for each in _IMPERSONATION):
        raise KubeconfigError(f"{path}: user.as… is not supported: act as a user with credentials of its own")
    if cluster.get("proxy-url"):
        raise KubeconfigError(f"{path}: cluster.proxy-url is not supported; use an address without a proxy")
    bearer: str | TokenFile | None = user.get("token")
    if user.get("tokenFile"):
        bearer = TokenFile(path.parent / str(user["tokenFile"]))
    return Connection(
        server=server.rstrip("/"),
        ssl_context=_ssl_context(path, cluster, user) if server.startswith("https:") else None,
        bearer=bearer,
        server_hostname=cluster.get("tls-server-name"),
        namespace=str(context.get("namespace") or "default"),
    )


def _ssl_context(path: Path, cluster: dict[str, Any], user: dict[str, Any]) -> ssl.SSLContext:
    ca = _pem(path, cluster, "certificate-authority")
    try:
        context = ssl.create_default_context(cadata=ca.decode() if ca else None)
        if cluster.get("insecure-skip-tls-verify"):
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        certificate, key = _pem(path, user, "client-certificate"), _pem(path, user, "client-key")
        if certificate and key:
            # OpenSSL loads a chain and its key from files only: a private one that lives for this call.
            with tempfile.NamedTemporaryFile() as pem:
                pem.write(certificate.rstrip(b"\n") + b"\n" + key)
                pem.flush()
                context.load_cert_chain(pem.name)
    except (ssl.SSLError, ValueError) as error:
        raise KubeconfigError(f"{path}: a certificate or key can't be used: {error}") from error
    return context


def _pem(path: Path, entry: dict[str, Any], name: str) -> bytes | None:
    """The PEM text of a `NAME-data` (base64) or `NAME` (file, relative to the kubeconfig) field."""
    try:
        if data := entry.get(f"{name}-data"):
            return base64.b64decode(data, validate=True)
        if file := entry.get(name):
            return (path.parent / str(file)).read_bytes()
    except binascii.Error as error:
        raise KubeconfigError(f"{path}: {name}-data is not base64") from error
    except OSError as error:
        raise KubeconfigError(f"{path}: {name}: {error.filename}: {error.strerror}") from error
    return None
