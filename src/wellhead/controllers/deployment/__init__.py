"""Deployments: replicasets made, scaled and removed so that their pods follow the template.

`template` (hash, equality), `revision` (annotations), `rolling` (how many replicas each ReplicaSet gets),
`status` (counts and conditions) and `plan` (what to do next) are pure; `controller` carries plans out.
"""
