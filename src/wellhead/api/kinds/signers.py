"""Names of signers, as requests and pods' volumes name them.

Upstream: ValidateSignerName and IsDomainPrefixedKey.
"""

from __future__ import annotations

from collections.abc import Iterator

from wellhead.api.errors import Cause
from wellhead.api.formats import Check, dns_label, dns_subdomain, qualified_name

_LONGEST_DOMAIN = 253
_LONGEST = _LONGEST_DOMAIN + 253 + 63 + 2


def validate_signer_name(signer: str, at: str) -> Iterator[Cause]:
    """`example.com/signer`."""
    if not signer:
        yield Cause.required(at)
        return
    if signer.count("/") != 1:
        text = "must be a fully qualified domain and path of the form 'example.com/signer-name'"
        yield Cause.invalid(at, signer, text)
        return
    domain, _, path = signer.partition("/")
    if len(domain.encode()) > _LONGEST_DOMAIN:
        yield Cause.too_long(at, _LONGEST_DOMAIN)
    yield from _labels(domain, dns_label, at)
    if "." not in domain:
        text = "should be a domain with at least two segments separated by dots"
        yield Cause.invalid(at, domain, text)
    yield from _labels(path, dns_subdomain, at)
    if len(signer.encode()) > _LONGEST:
        yield Cause.too_long(at, _LONGEST)


def _labels(part: str, check: Check, at: str) -> Iterator[Cause]:
    for label in part.split("."):
        if problems := check(label):
            for problem in problems:
                yield Cause.invalid(at, part, f'validating label "{label}": {problem}')
            return


def validate_prefixed_key(key: str, at: str) -> Iterator[Cause]:
    """`example.com/key`."""
    if not key:
        yield Cause.required(at)
    elif problems := qualified_name(key):
        yield from (Cause.invalid(at, key, problem) for problem in problems)
    elif "/" not in key:
        yield Cause.invalid(at, key, 'must be a domain-prefixed key (such as "acme.io/foo")')
