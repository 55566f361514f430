"""Where API objects are kept: stores of bytes under keys, and the watch cache in front of them.

`store` defines the interface that a store implements (`sqlite`, `memory`); `encoding` fixes what an object's
bytes look like; `cache` holds everything that is stored in memory and serves every read and every watch from
there. Only the API server imports this package.
"""
