"""The core: what one node does with a packet for a Service, computed by pure functions and nothing else.

API objects become a `ServiceMap` (who claims and who holds each frontend, and which endpoints there are),
and a `NodeView` of it says, for one node, how every held frontend is handled. A change to a view is a value,
`ViewDiff`, and that is all a backend ever sees. Nothing here does I/O, reads a clock or logs, so a prediction
made from the same objects cannot drift from what a backend installs.

There are tens of thousands of most values here, so they are msgspec structs: quick to make and to compare,
small, and, because what is frozen holds no cycles, left alone by the garbage collector (`gc=False`). Those
that are keys of maps remember their hash.

Imports `wellhead.api` for the shape of API objects and `wellhead.ip` for addresses. `wellhead.proxy`,
`wellhead.cloud` and the instruments may import this package.
"""
