"""The terminating data plane: an HAProxy that accepts clients' connections and makes its own to nodes.

`client_ip`, `termination`, `sections`, `config` and `changes` decide and do no I/O: a Service becomes
sections of a configuration, and a change of them becomes commands to a running HAProxy where it can follow
those, a reload where it can't. `process` (with `daemon` and `keeper`), `commands` and `addresses` act;
`plane` puts them together. Only `wellhead.cloud` itself imports this package.
"""
