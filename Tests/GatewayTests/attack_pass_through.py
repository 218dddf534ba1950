"""A gateway that checks nothing: it ends TLS and passes the bytes on. The attack corpus has to find it out."""

from __future__ import annotations

import socket
import ssl
import threading


class PassThrough:
    def __init__(self, certificate: dict[str, str], upstream_port: int) -> None:
        self._upstream_port = upstream_port
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(certificate["chain"], certificate["key"])
        self._context.set_alpn_protocols(["h2", "http/1.1"])
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=128)
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            client = self._context.wrap_socket(sock, server_side=True)
            upstream = socket.create_connection(("127.0.0.1", self._upstream_port))
        except OSError:
            sock.close()
            return
        threading.Thread(target=self._pump, args=(upstream, client), daemon=True).start()
        self._pump(client, upstream)

    @staticmethod
    def _pump(source: socket.socket, sink: socket.socket) -> None:
        try:
            while data := source.recv(65_536):
                sink.sendall(data)
        except (OSError, ValueError, AttributeError):
            # The other direction may have closed both in the midst of a call, which Python's ssl tells in words of its own.
            pass
        for sock in (source, sink):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            sock.close()

    def close(self) -> None:
        self._listener.close()
