"""iptables mode: kube-proxy's chains, each compiled by a pure function, restored only when they change.

`port_rules.py` and `node_rules.py` compile; `ruleset.py` holds the result for one family; `saved.py` reads
what the kernel has; `transaction.py` is the difference as iptables-restore input; `backend.py` runs it.
Rule text is always what iptables-save would print (both variants print the same), so comparing is comparing
strings.
"""
