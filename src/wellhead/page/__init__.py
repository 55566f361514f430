"""`wellhead page`: what a browser is told of a cluster, so that it can draw the ways of packets, live.

It is a rendering of `wellhead.paths` and `wellhead.trace`, and has no model of its own. Pure: `values` is
what is published, `entities`, `store` and `scene` make of objects what the picture shows and keep it as they
change, `asking` answers questions, `lesson`, `matrix` and `levers` say what there is to learn and to
change, `history` remembers requests. With I/O: `live` follows a cluster, `sending` sends, `pulling` changes,
`server` serves it all to whoever has the token (`guard`), `streams` with what changes meanwhile. `static` has
the page itself, which `web/` builds. Only the command line imports this.
"""
