"""Which pods may use an image that is here already: not those of others whose credentials fetched it.

A person who loads, builds or pulls an image lets everybody have it. What the puller fetched for a pod is
for whoever shows credentials that the registry has taken, or for everybody if it asked for none. Of
credentials only a salted hash is kept. Pure, but for the salt.

Source: KEP-2535; pkg/kubelet/images/pullmanager of v1.36.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from wellhead.images import reference
from wellhead.images.registry.credentials import Login

NEVER_VERIFY = "NeverVerify"
NEVER_VERIFY_PRELOADED = "NeverVerifyPreloadedImages"
NEVER_VERIFY_ALLOWLISTED = "NeverVerifyAllowlistedImages"
ALWAYS_VERIFY = "AlwaysVerify"
POLICIES = (NEVER_VERIFY, NEVER_VERIFY_PRELOADED, NEVER_VERIFY_ALLOWLISTED, ALWAYS_VERIFY)

_COST = {"n": 2**12, "r": 8, "p": 1, "dklen": 32}
_REMEMBERED = 100  # credentials that are remembered of one repository


class Access(msgspec.Struct, frozen=True, omit_defaults=True):
    """Who has shown to be allowed an image by a repository's name."""

    preloaded: bool = False
    """A person has put it there."""
    anyone: bool = False
    """The registry gave it without credentials."""
    credentials: tuple[str, ...] = ()
    """Hashes of those for which the registry gave it."""


@dataclass(frozen=True)
class Pulled:
    """The puller got it with these credentials; None: without any."""

    login: Login | None


@dataclass(frozen=True)
class Policy:
    """The kubelet's imagePullCredentialsVerificationPolicy and preloadedImagesVerificationAllowlist."""

    name: str = NEVER_VERIFY_PRELOADED
    allowed: tuple[str, ...] = ()

    def verifies(self, image: str, access: Access) -> bool:
        """Whether a pod must have shown that it may have an image of this name."""
        if self.name == NEVER_VERIFY_ALLOWLISTED:
            return not any(_matches(pattern, reference.repository(image)) for pattern in self.allowed)
        return self.name == ALWAYS_VERIFY or (self.name == NEVER_VERIFY_PRELOADED and not access.preloaded)


def allowlist_problem(pattern: str) -> str | None:
    """Why it can't be in a policy's list: an image's name without tag, or the beginning of one and `/*`."""
    name = pattern.removesuffix("/*")
    if not name or "*" in name or "@" in name or (":" in name.rpartition("/")[2] and "/" in name):
        return f"{pattern!r} is no image without a tag, and no beginning of one with /* behind it"
    return None


def _matches(pattern: str, repository: str) -> bool:
    if pattern.endswith("/*"):
        return repository.startswith(pattern[:-1])
    return repository == reference.repository(pattern)


def of(accesses: Mapping[str, Access], image: str) -> Access:
    """What is known of an image under a name; by its ID, what is known of it under any."""
    full = reference.normalize(image)
    if "/" not in full:
        if not accesses:
            return Access(preloaded=True)
        every = accesses.values()
        return Access(
            any(each.preloaded for each in every),
            any(each.anyone for each in every),
            tuple(known for each in every for known in each.credentials),
        )
    # Images of before there were such notes, and those that a person put there alone, have none.
    return accesses.get(reference.repository(full), Access(preloaded=True))


def after(
    before: Mapping[str, Access], old: Iterable[str], new: Iterable[str], pulled: Pulled | None
) -> dict[str, Access]:
    """What is known of an image that had the names `old`, and was now put there under the names `new`."""
    had = {reference.repository(name) for name in old}
    known = {name: access for name, access in before.items() if name in had}
    for name in {reference.repository(each) for each in new}:
        access = before.get(name, Access(preloaded=True)) if name in had else Access()
        if pulled is None:
            access = msgspec.structs.replace(access, preloaded=True)
        elif pulled.login is None:
            access = msgspec.structs.replace(access, anyone=True)
        elif not shows(access, [pulled.login], name):
            kept = (*access.credentials, _hash(pulled.login, name, os.urandom(16)))[-_REMEMBERED:]
            access = msgspec.structs.replace(access, credentials=kept)
        known[name] = access
    return {name: access for name, access in known.items() if access != Access(preloaded=True)}


def shows(access: Access, logins: Iterable[Login], repository: str) -> bool:
    """Whether one of these credentials is known to do. Takes milliseconds for each."""
    for login in logins:
        for known in access.credentials:
            salt = bytes.fromhex(known.partition("$")[0])
            if hmac.compare_digest(_hash(login, repository, salt), known):
                return True
    return False


def _hash(login: Login, repository: str, salt: bytes) -> str:
    secret = msgspec.json.encode((repository.partition("/")[0], login.username, login.password))
    return f"{salt.hex()}${hashlib.scrypt(secret, salt=salt, **_COST).hex()}"
