"""Telling the nodes' network where VIPs are: ARP (RFC 826, 5227) and neighbour discovery (RFC 4861).

`packets` builds and reads frames and does no I/O; `sockets` opens what they pass through; `announcer` answers
for the VIPs that the forwarder forwards, and says so unasked when one comes. Only `wellhead.cloud` itself
imports this package.
"""
