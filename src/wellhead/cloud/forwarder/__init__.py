"""The packet-forwarding data plane: nftables, policy routing and connection tracking of one router.

A client's packet to a VIP goes to a node as it is, its addresses untouched. `hashing`, `tables`, `ruleset`
and `held` compute; `router` and `routes` act, in a thread of their own; `family_plane` stands between that
thread and those who ask, `plane` has one for each family. Knows addresses, not Kubernetes objects.

    new flow        VIP, protocol, port → group of nodes; hash of the flow → bucket → node's mark
    answered flow   conntrack's mark, so a change of the group moves nobody
    node's mark     ip rule fwmark → a routing table that has the node as default gateway
"""
