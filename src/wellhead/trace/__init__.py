"""One real request, followed: through which interfaces and rules it came, and what became of its addresses.

`token` is how it is recognised, `places` where one can look, `observer` what looks (sockets, and a table with
an owner, in each network namespace), `sightings` what was seen. From there on all is pure: `hops` puts
sightings in order, `seen` finds a request and its reply among them, `journey` makes the value shown, a
way as `wellhead.paths` has them. `watcher` is who watches a machine: this process, or a `helper` there. And
`session` is all of it together: `here` for a cluster of this machine, `nodes` for any other.
"""
