"""Who holds a frontend that several claim: the oldest Service, whatever the order of events."""

from __future__ import annotations

from collections.abc import Collection

import msgspec

from wellhead.services.names import Frontend, FrontendKind, FrontendOfKind, PortKey, ServiceKey
from wellhead.services.service import Service, ServicePort


class Claim(msgspec.Struct, frozen=True, order=True, cache_hash=True, gc=False):
    """One Service port's claim to a frontend. The least claim holds it: the fields are the rule."""

    created: str
    service: ServiceKey
    kind: FrontendKind
    port: PortKey


class Frontends:
    """Every claim to every frontend. Changing one Service's claims costs their number, not the map's."""

    def __init__(self) -> None:
        self._claims: dict[Frontend, tuple[Claim, ...]] = {}

    def holder(self, frontend: Frontend) -> Claim | None:
        """The claim that holds `frontend`, or None when nobody claims it."""
        claims = self._claims.get(frontend)
        return claims[0] if claims else None

    def held(self, port: ServicePort) -> tuple[FrontendOfKind, ...]:
        """The frontends that a Service port claims and holds."""
        found = []
        for each in port.claims:
            claims = self._claims.get(each.frontend)
            if claims and claims[0].port == port.key and claims[0].kind is each.kind:
                found.append(each)
        return port.claims if len(found) == len(port.claims) else tuple(found)  # one tuple is enough

    def replace(self, old: Service | None, new: Service | None) -> Collection[ServiceKey]:
        """Put `new`'s claims in place of `old`'s. Returns the other Services that gain or lose a frontend."""
        if old is None and self._add_unclaimed(_claims(new)):
            return ()
        before, after = set(_claims(old)), set(_claims(new))
        holders: dict[Frontend, Claim | None] = {}
        for frontend, claim in before - after:
            claims = self._claims[frontend]
            holders.setdefault(frontend, claims[0])
            if len(claims) > 1:
                self._claims[frontend] = tuple(each for each in claims if each != claim)
            else:
                del self._claims[frontend]
        for frontend, claim in after - before:
            claims = self._claims.get(frontend, ())
            holders.setdefault(frontend, claims[0] if claims else None)
            self._claims[frontend] = tuple(sorted((*claims, claim))) if claims else (claim,)
        affected: set[ServiceKey] = set()
        for frontend, was in holders.items():
            now = self.holder(frontend)
            if was != now:
                affected |= {each.service for each in (was, now) if each is not None}
        return affected - {each.key for each in (old, new) if each is not None}

    def _add_unclaimed(self, claims: list[tuple[Frontend, Claim]]) -> bool:
        """Add claims to frontends that nobody else claims, which nearly all are; else do nothing."""
        known = self._claims
        if len(claims) > 1 and len(dict(claims)) < len(claims):
            return False
        for frontend, _ in claims:
            if frontend in known:
                return False
        for frontend, claim in claims:
            known[frontend] = (claim,)
        return True


def _claims(service: Service | None) -> list[tuple[Frontend, Claim]]:
    if service is None:
        return []
    return [
        (frontend, Claim(service.created, service.key, kind, port.key))
        for port in service.ports
        for kind, frontend in port.claims
    ]
