"""Others' masquerading that would hide the sources of connections which the proxy leaves alone.

`rules.py` says what a rule takes, as far as that can be told, of the connections that `kinds.py` names;
`iptables.py` and `nft.py` read rules from what these programs list; `listing.py` asks them. `watch.py` looks
when something may have changed, and tells.
"""
