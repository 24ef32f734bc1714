"""Several phones on one adb server: what is asked of a phone goes to its own server, all else to the first one's."""

import contextlib
import socket
import socketserver
import threading


class Rack:
    """An adb server for `phones` (see phone.py), of which the first one has to list the others."""

    def __init__(self, phones):
        ports = {phone.serial: phone.port for phone in phones}
        usual = phones[0].port

        class Handler(socketserver.BaseRequestHandler):
            def handle(self):
                with contextlib.suppress(OSError):
                    length = self.request.recv(4, socket.MSG_WAITALL)
                    request = self.request.recv(int(length, 16), socket.MSG_WAITALL) if length else b""
                    port = next((port for serial, port in ports.items() if serial.encode() in request), usual)
                    with socket.create_connection(("127.0.0.1", port)) as there:
                        there.sendall(length + request)
                        back = threading.Thread(target=_copy, args=(there, self.request), daemon=True)
                        back.start()
                        _copy(self.request, there)
                        back.join()

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address, daemon_threads = True, True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def _copy(source, target):
    """Until one of them ends."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_WR)
