"""A network that is not there."""

from __future__ import annotations

import socket
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from unittest import mock

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def offline() -> Iterator[list[str]]:
    """Refuse every connection and name lookup meanwhile; yield the list of those that were tried."""
    tried: list[str] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        tried.append(str(next((item for item in arguments if isinstance(item, (str, tuple))), "an address")))
        message = "the conformance kit lets nothing reach the network"
        raise OSError(message)

    with (
        mock.patch.object(socket.socket, "connect", refuse),
        mock.patch.object(socket.socket, "connect_ex", refuse),
        mock.patch.object(socket, "getaddrinfo", refuse),
    ):
        yield tried
