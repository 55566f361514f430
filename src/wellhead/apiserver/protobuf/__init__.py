"""Request bodies in Kubernetes' Protobuf encoding, which kubectl's own commands (`create deployment`) send.

Bodies only: every client that sends Protobuf accepts JSON answers. `fields.txt` says which number is which
field, `decoding` turns a body into the object that JSON would have given, and `generate` makes `fields.txt`
from the sources of Kubernetes' Go types.
"""
