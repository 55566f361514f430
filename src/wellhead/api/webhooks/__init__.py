"""What webhook configurations mean for a request, decided from values alone.

`hook` is a webhook as a value, `matching` says which requests it is for, `conditions` are its conditions in
CEL (loaded when there is one), `review` is what it is asked and what its answer says. The API server calls it
(`apiserver/webhooks`).
"""
