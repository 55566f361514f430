"""Custom kinds in the server: which there are now (`kinds`), their definitions' states (`keeper`), and
objects of one version as another's (`conversion`). What a definition means is in `api/custom`."""
