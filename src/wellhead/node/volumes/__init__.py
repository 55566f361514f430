"""A pod's volumes: directories below the pod's own that its containers mount.

`content.py` says which files a ConfigMap, Secret, token or field becomes (pure), `atomic.py` puts files into
a directory so that readers see all old or all new ones, `pod_volumes.py` does it for a pod and keeps it
current.
"""
