"""The store in etcd, version 3.4 or later: for several API servers, on one machine or many.

`client` calls etcd's gRPC API at whichever endpoint answers; `layout` fixes which keys and values etcd sees;
`store` is the store itself, `compaction` how its history is cut.
"""
