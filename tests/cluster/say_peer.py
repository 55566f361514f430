"""Run on a host by tests: answers HTTP requests as the echoserver does, with the peer's address.

Usage: say_peer.py ADDRESS PORT
"""

import contextlib
import socket
import sys

family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.create_server((sys.argv[1], int(sys.argv[2])), family=family) as server:
    print("listening", flush=True)
    while True:
        connection, peer = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(4096)
            connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nclient_address=%s\n" % peer[0].encode())
