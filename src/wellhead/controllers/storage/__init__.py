"""PersistentVolumes and claims: bound to each other, protected while in use, made for pods that ask."""
