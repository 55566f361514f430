"""Keeping the source of connections that the proxy leaves alone, whatever masquerades after it.

The first NAT chain that decides about a connection's source decides it, and a NAT that maps a source to
itself is a decision. So a chain at a priority before everybody's masquerading (`chains.py`) claims the
sources of chosen connections. What is chosen by is elements of sets (`sets.py`). In nftables mode both are
part of the mode's table; iptables mode has a small one of its own (`ruleset.py`). `ways.py` knows which ways
replies take.
"""
