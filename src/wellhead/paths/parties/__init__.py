"""What is known of whoever handles packets in a cluster: one file a party.

A file says how its party is recognised in a cluster's objects, what its configuration says, and what it
does: as the service proxy of a node, as its network, as an agent that masquerades, as a load balancer in
front, as a controller in between. `found` chooses those of one cluster. A party that is there and that
nobody knows has a name and `known` False: it is answered for with UNKNOWN, never with silence.

To add one: write its file with the base class of its role (`base`), and put it into `found`'s list of that
role.
"""
