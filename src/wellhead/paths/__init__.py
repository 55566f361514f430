"""A packet's way from a client to a server and back, as values: who rewrote which address, and why.

`way` has the values (a `Report` of `Way`s with their `Outcome`s and `Step`s) that predictions and
observations share, `codes` every reason that can be given, `schema` their published form. `world` is a
cluster as its objects tell it, `parties` what is known of whoever handles packets (one file each), and
`explain` sends a packet through them. Renderings take the values alone.

Everything here is pure: no files, no network, no clock. Imports `wellhead.services`, which decides what a
node's service proxy does, `wellhead.api` and `wellhead.ip`. The commands may import this package.
"""
