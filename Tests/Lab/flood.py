# SPDX-License-Identifier: Apache-2.0
"""One workload that does a thing many times; prints `ready`, obeys lines on its standard input, answers each with one.

  peers ADDRESS PORT FROM COUNT    one datagram to ADDRESS PORT from each of COUNT addresses FROM, FROM+1, ... (127/8)
  reach ADDRESS PORT COUNT         one UDP socket sends a datagram to COUNT ports of ADDRESS, from PORT on; it stays open
  announce ADDRESS PORT COUNT      COUNT UDP sockets send a datagram to each of 64 ports from PORT on, and stay open
  refused ADDRESS PORT COUNT       connect() to COUNT ports from PORT on, which are refused
  again ADDRESS PORT COUNT         the same port each time
  close                            closes what stayed open
"""
import ipaddress
import socket
import sys

kept = []


def family(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def udp(address):
    return socket.socket(family(address), socket.SOCK_DGRAM)


def attempt(action):
    try:
        action()
        return 1
    except OSError:
        return 0


def obey(words):
    what, address, port = words[0], words[1] if len(words) > 1 else "", int(words[2]) if len(words) > 2 else 0
    done = 0
    if what == "peers":
        first = ipaddress.ip_address(words[3])
        for number in range(int(words[4])):
            with udp(address) as sock:
                sock.bind((str(first + number), 0))
                done += attempt(lambda: sock.sendto(b"x", (address, port)))
    elif what == "reach":
        sock = udp(address)
        kept.append(sock)
        for number in range(int(words[3])):
            done += attempt(lambda: sock.sendto(b"x", (address, port + number)))
    elif what == "announce":
        for _ in range(int(words[3])):
            sock = udp(address)
            kept.append(sock)
            for number in range(64):
                done += attempt(lambda: sock.sendto(b"x", (address, port + number)))
    elif what in ("refused", "again"):
        for number in range(int(words[3])):
            with socket.socket(family(address), socket.SOCK_STREAM) as sock:
                done += attempt(lambda: sock.connect((address, port + (number if what == "refused" else 0))))
    elif what == "close":
        for sock in kept:
            sock.close()
        kept.clear()
    return done


print("ready", flush=True)
for line in sys.stdin:
    print(obey(line.split()), flush=True)
