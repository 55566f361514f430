"""The stages of a packet's way, each a function of a packet and the place where it is, to what becomes of it.

They stand on each other, in this order: `base`, `postrouting` (what leaves a node, and who receives it),
`proxy` (a node's service proxy), `node` (what else a node has at its addresses), `balancing` (load
balancers, routers), and on top `wellhead.paths.journey`, which begins with a client.
"""
