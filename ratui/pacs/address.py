"""The address of a PACS, and the account and the certificates for it."""

from __future__ import annotations

import os
import re
import ssl
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from ratui.bounded_parsing import parse_toml, read_bounded
from ratui.errors import PacsError

__all__ = ["Certificates", "Credentials", "PacsAddress", "check_aet", "parse_address", "read_credentials"]

_PORTS = {"http": 80, "https": 443, "dicom": 104, "dicoms": 2762}
_LOOPBACK = re.compile(r"localhost|127\.\d+\.\d+\.\d+|::1")
_AET = re.compile(r"[\x21-\x5b\x5d-\x7e](?:[\x20-\x5b\x5d-\x7e]{0,14}[\x21-\x5b\x5d-\x7e])?")
_VARIABLES = {"user": "RATUI_PACS_USER", "password": "RATUI_PACS_PASSWORD", "token": "RATUI_PACS_TOKEN"}
_FORMS = "Give https://HOST/dicom-web, dicom://AET@HOST:PORT or dicoms://AET@HOST:PORT"


@dataclass(frozen=True)
class PacsAddress:
    """The address of a PACS.

    Attributes
    ----------
    scheme
        ``http`` or ``https`` for DICOMweb; ``dicom`` or ``dicoms`` (with TLS) for the classic protocol.
    host, port
        The machine.
    path
        Path of the DICOMweb service, without a slash at its end; empty for the classic protocol.
    aet
        Application entity title of the PACS; empty for DICOMweb.
    """

    scheme: str
    host: str
    port: int
    path: str = ""
    aet: str = ""

    @property
    def is_dicomweb(self) -> bool:
        """True for DICOMweb, False for the classic protocol."""
        return self.scheme in ("http", "https")

    @property
    def is_encrypted(self) -> bool:
        """True if the connection uses TLS."""
        return self.scheme in ("https", "dicoms")

    @property
    def is_loopback(self) -> bool:
        """True if the PACS is on this machine."""
        return _LOOPBACK.fullmatch(self.host) is not None

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        title = f"{self.aet}@" if self.aet else ""
        return f"{self.scheme}://{title}{host}:{self.port}{self.path}"


def check_aet(title: str, where: str) -> str:
    """Return the application entity title `title` (VR AE: 1 to 16 printable characters).

    Raises PacsError, naming the option `where`, for anything else.
    """
    if not _AET.fullmatch(title):
        raise PacsError(
            "an application entity title has 1 to 16 printable characters", where, "Ask the PACS team for it"
        )
    return title


def parse_address(text: str, where: str = "--from") -> PacsAddress:
    """Return the address in `text`.

    Raises PacsError, naming the option `where`, for another form or for an address with a password, which other users of the
    machine could read in the list of processes.
    """
    try:
        parts = urlsplit(text)
        scheme, host, port = parts.scheme.lower(), parts.hostname or "", parts.port
    except ValueError as error:
        raise PacsError("this is not the address of a PACS", where, _FORMS) from error
    if scheme not in _PORTS or not host or parts.query or parts.fragment or not re.fullmatch(r"[\w.:-]+", host):
        raise PacsError("this is not the address of a PACS", where, _FORMS)
    if parts.password is not None or (scheme.startswith("http") and parts.username is not None):
        raise PacsError(
            "an address must not contain a user or a password",
            where,
            f"Set {', '.join(_VARIABLES.values())}, or write them into a private file (--credentials)",
        )
    number = _PORTS[scheme] if port is None else port
    if not scheme.startswith("dicom"):
        return PacsAddress(scheme, host, number, parts.path.rstrip("/"))
    if parts.path.strip("/"):
        raise PacsError("this is not the address of a PACS", where, _FORMS)
    return PacsAddress(scheme, host, number, aet=check_aet(unquote(parts.username or ""), where))


@dataclass(frozen=True)
class Credentials:
    """The account on a PACS: a user with a password, or a token, or neither. `repr` shows none of them."""

    user: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)

    def __bool__(self) -> bool:
        return bool(self.user or self.token)


def read_credentials(file: Path | None, environment: Mapping[str, str] = os.environ) -> Credentials:
    """Return the account for a PACS, from a private file or from the environment.

    Parameters
    ----------
    file
        TOML file with ``user`` and ``password``, or with ``token``. Only its owner may have access to it. None for the
        variables ``RATUI_PACS_USER``, ``RATUI_PACS_PASSWORD`` and ``RATUI_PACS_TOKEN``.
    environment
        The environment.

    Raises
    ------
    PacsError
        If the file can't be read, others can read it, or it has other values.
    """
    if file is None:
        values = {name: environment.get(variable, "") for name, variable in _VARIABLES.items()}
        where: object = ", ".join(_VARIABLES.values())
    else:
        values, where = _read_private_file(file), file
    if any(not text.isprintable() or len(text) > 10_000 for text in values.values()):
        raise PacsError("a user, a password or a token is one line of text", where)
    if values["token"] and (values["user"] or values["password"]):
        raise PacsError("there are both a token and a user", where, "Give one of them")
    if bool(values["user"]) != bool(values["password"]):
        raise PacsError("a user and a password belong together", where, "Give both, or a token")
    return Credentials(**values)


def _read_private_file(file: Path) -> dict[str, str]:
    try:
        found = file.stat()
        if found.st_uid != os.geteuid() or stat.S_IMODE(found.st_mode) & 0o077:
            raise PacsError("other accounts have access to this file", file, "chmod 600 it, as its owner")
        raw = parse_toml(read_bounded(file, 100_000).decode())
    except OSError as error:
        raise PacsError(f"the file can't be read: {error.strerror}", file) from error
    except ValueError as error:
        raise PacsError("the file is not TOML", file, 'Write user = "…" and password = "…", or token = "…"') from error
    if not set(raw) <= set(_VARIABLES) or not all(isinstance(value, str) for value in raw.values()):
        raise PacsError("the file has other values", file, 'Write user = "…" and password = "…", or token = "…"')
    return {name: raw.get(name, "") for name in _VARIABLES}


@dataclass(frozen=True)
class Certificates:
    """The files for TLS connections. Without `trusted`, the certificates that the system trusts count.

    Attributes
    ----------
    trusted
        Certificates (PEM) of the authorities to trust, or None.
    own, key
        Own certificate and its private key (PEM), or None.
    """

    trusted: Path | None = None
    own: Path | None = None
    key: Path | None = None

    def check(self) -> None:
        """Raise PacsError if a file can't be read, or a certificate lacks its key."""
        if self.key is not None and self.own is None:
            raise PacsError("the private key has no certificate", "--private-key", "Give --certificate, too")
        for file in (self.trusted, self.own, self.key):
            if file is not None and not os.access(file, os.R_OK):
                raise PacsError("there is no such file that can be read", file)

    def make_client_context(self) -> ssl.SSLContext:
        """Return the settings for connections to a PACS, whose certificate and name are verified. Raises PacsError."""
        return self._fill(ssl.create_default_context(ssl.Purpose.SERVER_AUTH))

    def make_server_context(self) -> ssl.SSLContext:
        """Return the settings for receiving. With `trusted`, each sender must show a certificate. Raises PacsError."""
        context = self._fill(_ServerContext(ssl.PROTOCOL_TLS_SERVER))
        if self.trusted is not None:
            context.verify_mode = ssl.CERT_REQUIRED
        return context

    def _fill(self, context: ssl.SSLContext) -> ssl.SSLContext:
        self.check()
        try:
            if self.trusted is not None:
                context.load_verify_locations(self.trusted)
            if self.own is not None:
                context.load_cert_chain(self.own, self.key, password=_refuse_password)
        except (OSError, ValueError) as error:  # ssl.SSLError is an OSError
            raise PacsError("a certificate or key can't be used", self.own or self.trusted, "Give PEM files") from error
        return context


class _ServerContext(ssl.SSLContext):
    """Settings for a server whose thread that accepts connections does not wait for the handshake of a peer."""

    def wrap_socket(self, sock: Any, server_side: bool = False, **options: Any) -> ssl.SSLSocket:  # type: ignore[override]
        """Return the socket; the handshake takes place when the thread of the connection reads."""
        return super().wrap_socket(sock, server_side, **{**options, "do_handshake_on_connect": False})


def _refuse_password() -> bytes:
    """Raise ValueError: without it, OpenSSL would ask for the password of a key on the terminal and wait."""
    raise ValueError("the key has a password")
