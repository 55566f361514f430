"""What comes in and means harm: requests that must neither hurt the server nor anybody else's requests.

`make test-hostile` runs it with more time (see `conftest`); within `make test` it takes half a minute.
"""
