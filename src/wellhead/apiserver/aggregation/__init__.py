"""Servers that answer for groups of their own behind this one: APIServices (kube-aggregator upstream).

`services` knows which there are, `local` lists what this server itself answers for, `backend` reaches the
others, `availability` finds out whether they answer and what they serve, `proxy` hands requests on.
"""
