"""The API's verbs, a file for each: they turn a call into reads and writes, and these into an answer."""
