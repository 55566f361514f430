"""A cluster's objects, read for the instruments: from files, or from an API server as far as one may read it.

`files` reads manifests and snapshots, `cluster` an API server, `anonymise` replaces names and addresses. The
decisions are `wellhead.paths`'; nothing here writes to a cluster. The commands may import this package.
"""
