"""Who manages which field: metadata.managedFields, and the merge of server-side apply (KEP-555).

A set of fields is a tree as fieldsV1 writes it (`sets`); what may merge with what is said by a `Type`
(`types`), made from the API's schema or a custom resource's. `update` keeps the record of every write,
`apply` merges what a manager wants into what is there. All of it is pure.
"""
