"""nftables mode: a constant number of rules; everything about Services is elements of maps and sets.

`objects.py` has nftables' vocabulary as values, `expressions.py` what rules are made of. `layout.py` names
the maps and sets, `dispatch.py` the chains that elements lead to, `skeleton.py` has the rules. `numbers.py`
gives Service ports numbers, `port_elements.py` compiles one port's view into elements, `ruleset.py` keeps a
family's whole content and turns its changes into transactions, and `held.py` compares it with a table. So far
everything is pure. `netlink.py`, `messages.py`, `kernel.py` and `monitor.py` speak nfnetlink; `backend.py` is
what the proxy uses. Imported by `wellhead.proxy` alone.
"""
