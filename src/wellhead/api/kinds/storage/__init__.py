"""PersistentVolumes, PersistentVolumeClaims and StorageClasses: what they may be. Pure."""

from wellhead.api.kinds.storage import claims, classes, volumes

KINDS = (volumes.KIND, claims.KIND, classes.KIND)
