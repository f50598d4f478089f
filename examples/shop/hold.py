#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hold.py HOST PORT SECONDS: keeps one connection to Redis busy; says when it opened, and when and how it ended.

Times are seconds since the epoch, so that a shell can compare them with $EPOCHREALTIME.
"""
import socket, sys, time

host, port, seconds = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
connection = socket.create_connection((host, port), 2)
print(f"opened {time.time():.6f}", flush=True)
answers, until, why = 0, time.time() + seconds, "it was never cut"
try:
    while time.time() < until:
        connection.sendall(b"PING\r\n")
        if not connection.recv(64):
            why = "end of stream"
            break
        answers += 1
        time.sleep(0.001)
except OSError as error:
    why = error.strerror or str(error)
print(f"ended {time.time():.6f} {answers} {why}", flush=True)
