"""nftables, without the `nft` program.

`news.py` tells of changes to tables. Knows nothing of wellhead's own tables.
"""
