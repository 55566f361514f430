"""NetworkPolicies in force on a node: a constant number of nftables rules, all else elements of sets.

`layout.py` names those, `skeleton.py` has the rules, `ruleset.py` turns what `wellhead.policies` decides into
elements and its changes into transactions. So far everything is pure. `enforcement.py` keeps the kernel so,
`watches.py` hears of policies, pods and namespaces, `main.py` ties them together.
"""
