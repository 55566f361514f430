"""nftables mode: a constant number of rules; everything about Services is elements of maps and sets.

`objects.py` has nftables' vocabulary as values, `expressions.py` what rules are made of. `layout.py` names
the maps and sets, `skeleton.py` the chains and rules over them. `numbers.py` gives Service ports numbers,
`port_elements.py` compiles one port's view into elements, and `ruleset.py` keeps a family's whole content and
turns its changes into transactions. So far everything is pure. `netlink.py`, `kernel.py` and `monitor.py`
speak nfnetlink, and `backend.py` is what the proxy uses. Imported by `wellhead.proxy` alone.
"""
