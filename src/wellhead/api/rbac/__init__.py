"""What roles allow (rbac.authorization.k8s.io), decided from values alone.

`rules` says which actions a rule allows, `covering` whether some rules give all that others give, and
`aggregation` what an aggregated ClusterRole gathers. Who has which role is the API server's to know.
"""
