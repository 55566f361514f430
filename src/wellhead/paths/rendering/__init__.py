"""Renderings of ways: for terminals, for documents, as pictures. They take the values alone.

`words` says in words what a server sees, `drawing` draws as “Using Source IP” does, `table` prints every way,
`hops` cuts a way into places and packets between them, which `mermaid` and `svg` draw.
"""
