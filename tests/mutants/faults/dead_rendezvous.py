"""The place where ranks are told to meet is a port at which nobody answers."""

import os
import socket

if "RANK" in os.environ:  # the launcher itself meets elsewhere
    # Bound, so that nobody else takes it, and not listened to: it refuses every connection.
    port = socket.socket()
    port.bind(("127.0.0.1", 0))
    os.environ["MASTER_ADDR"], os.environ["MASTER_PORT"] = map(str, port.getsockname())
