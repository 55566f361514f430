"""Where traffic may be sent: addresses and ports, as Services, endpoints and probes name them."""

from __future__ import annotations

from wellhead.api.errors import Cause
from wellhead.api.formats import ip_address, parse_ip, port_name, port_number


def validate_endpoint_ip(text: str, at: str) -> list[Cause]:
    """An address that traffic may be sent to: not one that means the node itself or its link.

    Through those, a user would reach what listens on a node's loopback (CVE-2021-25737).
    """
    address = parse_ip(text)
    if address is None or ip_address(text):
        return [Cause.invalid(at, text, problem) for problem in ip_address(text)]
    causes = []
    if address.is_unspecified:
        causes.append(Cause.invalid(at, text, f"may not be unspecified ({text})"))
    if address.is_loopback:
        causes.append(Cause.invalid(at, text, "may not be in the loopback range (127.0.0.0/8, ::1/128)"))
    if address.is_link_local:
        causes.append(
            Cause.invalid(at, text, "may not be in the link-local range (169.254.0.0/16, fe80::/10)")
        )
    packed = address.packed
    if packed[:3] == b"\xe0\0\0" and address.version == 4:
        link_local_multicast = True
    else:
        link_local_multicast = address.version == 6 and packed[0] == 0xFF and packed[1] & 0x0F == 0x02
    if link_local_multicast:
        causes.append(
            Cause.invalid(at, text, "may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
        )
    return causes


def validate_port_reference(value: int | str, at: str) -> list[Cause]:
    """A port by number or by name: a target port, a probe's port."""
    if isinstance(value, int):
        return [Cause.invalid(at, value, problem) for problem in port_number(value)]
    return [Cause.invalid(at, value, problem) for problem in port_name(value)]
