"""nftables without the `nft` program: its vocabulary as values, and the kernel brought to them.

`types.py`, `expressions.py` and `statements.py` are what rules are made of. `objects.py` has tables, sets,
chains, rules, elements and transactions of them; `str` of a chain or a rule is how nft lists it;
`intervals.py` makes elements of networks.
`messages.py` makes a transaction into what the kernel takes (`attributes.py` has its names, `typeof.py` what
nft leaves there for itself), `socket.py` sends it, `content.py` reads a table and finds what makes it into
another. `news.py` and `monitor.py` tell of others' changes. `fake.py` is a table for tests without root.
Nothing here knows wellhead's own tables.
"""
