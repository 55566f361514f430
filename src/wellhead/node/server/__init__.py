"""The node's HTTPS server: what a kubelet offers on port 10250, for the API server to pass on.

`app.py` routes and checks who asks, `logs.py` reads logs, `streams.py` is exec and attach over WebSocket,
`port_forward.py` reaches into a pod's network.
"""
