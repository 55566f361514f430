"""Symmetric return: replies of a connection leave through the node by which it came in.

That node then need not put its own address in place of the client's. What happens to packets at the ingress
is the backends' business; here is the endpoint's side, the same in every mode: who the peers are, how their
packets are told apart, and how replies find the way back. Imported by the proxy's `main` and its
configuration, and by nothing else; it stands beside the backends, above the same `wellhead.linux`.
"""
