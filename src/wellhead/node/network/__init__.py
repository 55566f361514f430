"""The pod network of one node: addresses, links, routes to the other nodes, and the node's own NAT rules.

Pods are routed, not bridged: each has a veth pair whose node end holds the gateway address, a route for the
pod's address alone leads to it, and the pod sends everything through the gateway, neighbours of its own
network included. So every packet of a pod passes the node's netfilter hooks, which NAT of Service traffic
relies on. All of it stays when the agent ends.
"""
