"""The node's storage: directories of its own as PersistentVolumes, for claims whose pods come here.

Another identity than the agent's (a CSI driver's, elsewhere), since a node itself may not make volumes.
"""
