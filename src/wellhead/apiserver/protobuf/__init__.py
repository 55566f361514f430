"""Kubernetes' Protobuf encoding, which kubectl's own commands (`create deployment`) send.

Most clients that send it take JSON answers, too, and get them: those cost a tenth. `encoding` is for the
others. `fields.txt` says which number is which field, `messages` reads it, `decoding` turns a body into the
object that JSON would have given, and `generate` makes `fields.txt` from the sources of Kubernetes' Go types.
"""
