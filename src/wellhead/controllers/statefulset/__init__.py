"""StatefulSets: pods with names, in order, each with its own storage.

`identity` (names, labels, volumes of a pod), `claims` (its PersistentVolumeClaims and who owns them), `plan`
(what to do next) and `status` are pure; `controller` carries them out.
"""
