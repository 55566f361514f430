"""Priority and fairness, without I/O: which requests share what part of the server, and whose turn it is.

Upstream: apiserver's pkg/util/flowcontrol, KEP-1040. May import the rest of `api`.
"""
