"""The API server: Kubernetes' HTTP API over the watch cache in `storage`.

A request passes, in this order: `info` (what it asks for), `authn` (who asks), `authz` with the rules in
`policy` (whether they may), then the verb's own file under `verbs/` or the subresource's under
`subresources/`. What a write means, apart from HTTP, is in `registry/`; how an answer is written, in
`negotiation`. `main` puts it all together. Only the command line imports this package.
"""
