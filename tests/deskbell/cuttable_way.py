"""A way to a running desk that a test can cut."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from urllib.parse import urlsplit


@contextmanager
def cuttable_way(url: str) -> Iterator[tuple[str, list[socket.socket]]]:
    """Another address of the desk; closing the sockets of the list cuts every connection."""
    target = (urlsplit(url).hostname, urlsplit(url).port)
    open_now: list[socket.socket] = []
    listener = socket.create_server(("127.0.0.1", 0))

    def carry(source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                sink.sendall(data)
        for end in (source, sink):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def accept() -> None:
        with suppress(OSError):
            while True:
                near, _ = listener.accept()
                far = socket.create_connection(target)
                open_now.extend((near, far))
                for pair in ((near, far), (far, near)):
                    carriers.append(threading.Thread(target=carry, args=pair))
                    carriers[-1].start()

    carriers: list[threading.Thread] = []
    accepting = threading.Thread(target=accept)
    accepting.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", open_now
    finally:
        listener.shutdown(socket.SHUT_RDWR)
        accepting.join()
        cut(open_now)
        for carrier in carriers:
            carrier.join()
        listener.close()
        for end in open_now:
            end.close()


def cut(open_now: list[socket.socket]) -> None:
    for end in open_now:
        with suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
