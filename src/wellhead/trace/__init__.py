"""One real request, followed: through which interfaces and rules it came, and what became of its addresses.

`token` is how it is recognised, `places` where one can look, `observer` what looks (sockets and a table with
an owner in each network namespace), `sightings` what was seen. `hops` puts sightings in order and `journey`
makes the value that is shown, a way as `wellhead.paths` has them; both are pure, as are `packet`,
`messages`, `rules`, `names`, `target`, `text` and `pcapng`. `request` sends, and `session` is all of it for
a cluster of this machine.
"""
