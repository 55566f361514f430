"""Admission policies in CEL, from values alone: ValidatingAdmissionPolicies and MutatingAdmissionPolicies.

`expressions` compiles, `policy` is a policy or a binding as a value, `validation` and `mutation` say what one
makes of a request. The API server asks them (`apiserver/policies`).
"""
