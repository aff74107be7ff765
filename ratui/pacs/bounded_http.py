"""An HTTP session whose answers are bounded in size and time, and which follows no redirection."""

from __future__ import annotations

import base64
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests
from requests.adapters import HTTPAdapter

from ratui.errors import PacsError, PacsLostError
from ratui.pacs.address import Certificates, Credentials, PacsAddress
from ratui.pacs.spool import TooLargeError

__all__ = ["AnswerTooLarge", "BoundedSession", "make_session", "translate_http_errors"]

_MAX_SECONDS = 900.0  # of one answer, so that a server that sends byte by byte does not hold a run for ever
_MORE = re.compile(r"\s*299\b.{0,1000}\badditional results\b", re.IGNORECASE | re.DOTALL)
_RETRY_LATER = (408, 425, 429, 502, 503, 504)


class AnswerTooLarge(ValueError):
    """An answer with more bytes than are allowed, or one that takes too long."""


class _BoundedBody:
    """The body of an answer, which raises `AnswerTooLarge` after `limit` bytes. Other attributes are those of `body`."""

    def __init__(self, body: Any, limit: int) -> None:
        self._body = body
        self._left = limit
        self._is_late = False

    def stream(self, amount: int, decode_content: bool | None = None) -> Iterator[bytes]:
        timer = threading.Timer(_MAX_SECONDS, self._stop)  # a read waits for a whole part, however slowly it comes
        timer.daemon = True
        timer.start()
        try:
            for part in self._body.stream(amount, decode_content=decode_content):
                self._left -= len(part)
                if self._left < 0:
                    self._body.close()
                    raise AnswerTooLarge("the answer is too long")
                yield part
        except Exception as error:
            if self._is_late:
                raise AnswerTooLarge("the answer takes too long") from error
            raise
        finally:
            timer.cancel()
        if self._is_late:
            raise AnswerTooLarge("the answer takes too long")

    def _stop(self) -> None:
        self._is_late = True
        self._body.shutdown()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._body, name)


class _BoundedAdapter(HTTPAdapter):
    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def build_response(self, req: Any, resp: Any) -> requests.Response:
        response = super().build_response(req, resp)
        response.raw = _BoundedBody(response.raw, self._limit)
        return response


class BoundedSession(requests.Session):
    """A session that follows no redirection.

    Attributes
    ----------
    states_more
        True if the last answer states in a warning that there are more results than it contains.
    """

    states_more = False

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:
        """Send a request, and note the warning of its answer."""
        response = super().send(request, **options)
        self.states_more = _MORE.match(response.headers.get("Warning", "")) is not None
        return response

    def get_redirect_target(self, resp: requests.Response) -> str | None:
        """Return no target: a redirection would send patient IDs and perhaps the account elsewhere."""
        return None


def make_session(
    address: PacsAddress, credentials: Credentials, certificates: Certificates, *, limit: int
) -> BoundedSession:
    """Return a session for a PACS; `limit` is the maximum size of an answer in bytes.

    Neither proxies nor accounts of the environment are used. Raises PacsError if the account would be sent without TLS to
    another machine, or a certificate can't be used.
    """
    if credentials and not address.is_encrypted and not address.is_loopback:
        raise PacsError("the account would be sent without encryption", str(address), "Give an https:// address")
    certificates.make_client_context()  # reports files that can't be used
    session = BoundedSession()
    session.trust_env = False
    session.verify = str(certificates.trusted) if certificates.trusted else True
    if certificates.own:
        session.cert = (str(certificates.own), str(certificates.key)) if certificates.key else str(certificates.own)
    if credentials.user:
        account = base64.b64encode(f"{credentials.user}:{credentials.password}".encode()).decode()
        session.headers["Authorization"] = f"Basic {account}"
    elif credentials.token:
        session.headers["Authorization"] = f"Bearer {credentials.token}"
    session.headers["Accept-Encoding"] = "identity"
    session.headers["Accept"] = "application/dicom+json"
    for prefix in ("http://", "https://"):
        session.mount(prefix, _BoundedAdapter(limit))
    return session


@contextmanager
def translate_http_errors(address: PacsAddress) -> Iterator[None]:
    """Turn errors of requests and of answers into PacsError, without any text of them: URLs contain patient IDs."""
    where = str(address)
    try:
        yield
    except requests.exceptions.SSLError as error:
        raise PacsError("the certificate of the PACS is not trusted", where, "Give its authority with --ca") from error
    except requests.HTTPError as error:
        raise _status_error(error.response.status_code if error.response is not None else 0, where) from error
    except AnswerTooLarge as error:
        raise TooLargeError("its answer is too long", where) from error
    except requests.exceptions.JSONDecodeError as error:
        raise PacsError("its answer is not DICOMweb", where, "Check the path of the address") from error
    except (requests.RequestException, OSError) as error:
        raise PacsLostError("there is no connection to the PACS", where, "Check the address and the network") from error
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError) as error:
        raise PacsError("its answer is not DICOMweb", where, "Check the path of the address") from error


def _status_error(status: int, where: str) -> PacsError:
    if status in (401, 403):
        return PacsError(
            f"the PACS refuses this account (HTTP {status})",
            where,
            "Set RATUI_PACS_USER and RATUI_PACS_PASSWORD, or RATUI_PACS_TOKEN",
        )
    if status == 404:
        return PacsError("the PACS does not have this (HTTP 404)", where, "Check the path of the address")
    if status in _RETRY_LATER:
        return PacsLostError(f"the PACS is busy or unavailable (HTTP {status})", where, "Try again later")
    return PacsError(f"the PACS answers with an error (HTTP {status})", where)
