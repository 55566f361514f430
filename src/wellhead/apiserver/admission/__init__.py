"""Whether what a request writes is admitted, and what is changed of it on the way: a list of plugins.

`plugins` has them in upstream's order, each in a file of its own; `chain` asks them. What a kind itself
demands is in `api/kinds`; whether a user may use a verb at all is for `authz`. docs/admission.md says how to
add one.
"""
