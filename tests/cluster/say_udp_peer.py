"""Answer every UDP packet with the address it came from: python3 say_udp_peer.py ADDRESS PORT"""

import socket
import sys

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
    server.bind((sys.argv[1], int(sys.argv[2])))
    print("listening", flush=True)
    while True:
        _, peer = server.recvfrom(100)
        server.sendto(peer[0].encode(), peer)
