"""Run on a host by tests: answers one HTTP request as the echoserver does, with the peer's address.

Usage: say_peer.py ADDRESS PORT
"""

import socket
import sys

family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
with socket.create_server((sys.argv[1], int(sys.argv[2])), family=family) as server:
    server.settimeout(20)
    print("listening", flush=True)
    connection, peer = server.accept()
    with connection:
        connection.recv(4096)
        connection.sendall(b"HTTP/1.0 200 OK\r\n\r\nclient_address=%s\n" % peer[0].encode())
