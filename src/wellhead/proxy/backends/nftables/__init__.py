"""nftables mode: a constant number of rules; everything about Services is elements of maps and sets.

`layout.py` names the maps and sets, `dispatch.py` the chains that elements lead to, `skeleton.py` has the
rules. `numbers.py` gives Service ports numbers (`adoption.py` those that a table has already),
`port_elements.py` compiles one port's view into elements, `ruleset.py` keeps a family's whole content and
turns its changes into transactions. So far everything is pure. `backend.py` is what the proxy uses, and all
that speaks to the kernel, by `wellhead.linux.nftables`. Imported by `wellhead.proxy` alone.
"""
