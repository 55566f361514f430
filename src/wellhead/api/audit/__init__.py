"""The audit log's meaning, without I/O: which requests it is about, and what an event says of one.

Upstream: apiserver's pkg/apis/audit and pkg/audit. May import the rest of `api`.
"""
