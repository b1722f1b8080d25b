"""What went wrong between here and the Hub, in words, with what to type next.

Source of the cases: huggingface_hub's hf_raise_for_status, and httpx's exceptions.
"""

import os
import ssl

import httpx2
from huggingface_hub import get_token
from huggingface_hub.errors import (
    DisabledRepoError,
    GatedRepoError,
    HfHubHTTPError,
    OfflineModeIsEnabled,
    RemoteEntryNotFoundError,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from qvq_cli.errors import (
    BusyError,
    ConfigError,
    DeniedError,
    QvqError,
    TransferError,
    UnavailableError,
    UnreachableError,
)

_LONGEST_WAIT_S = 60

AGAIN = "run the same command again: what is already here stays, and it goes on from there"
_LOGIN = "give your token: `hf auth login`, or HF_TOKEN=hf_… in the environment"


def patience(error: QvqError, usual_s: float) -> float | None:
    """How long to wait before the next attempt; None where it would be in vain, or take too long.

    Args: usual_s: the wait where the Hub doesn't say.
    """
    if isinstance(error, BusyError):
        wait_s = usual_s if error.wait_s is None else float(error.wait_s)
        return wait_s if wait_s <= _LONGEST_WAIT_S else None
    transient = ("transfer-broken", "hub-unreachable", "hub-timeout")
    return usual_s if error.reference in transient else None


def no_hub(endpoint: str) -> UnreachableError:
    """Something else answers under the Hub's address."""
    return UnreachableError(
        f"what answers at {endpoint} is not a Hub: perhaps the login page of this network",
        hint="open any web page and log in to the network, or check HF_ENDPOINT; then run it again",
        reference="not-a-hub",
    )


def bad_proxy(error: Exception) -> ConfigError:
    """A proxy was set that the HTTP library can't take."""
    is_socks = isinstance(error, ImportError)
    return ConfigError(
        "the proxy is a SOCKS proxy, which needs a package that is not installed"
        if is_socks
        else f"a proxy can't be used: {_words(error)}",
        hint="pip install socksio, or set ALL_PROXY and HTTPS_PROXY to an http:// proxy"
        if is_socks
        else "set ALL_PROXY, HTTPS_PROXY and HTTP_PROXY to http://HOST:PORT, or unset them",
        reference="bad-proxy",
    )


def bad_token() -> ConfigError:
    """The token can't even be sent: headers are ASCII."""
    return ConfigError(
        "the Hub's token has a character that no token has",
        hint="tokens are hf_ and letters and digits: look at HF_TOKEN, or run `hf auth login` anew",
        reference="bad-token",
    )


def translate(error: Exception, repo: str | None, endpoint: str, *, has_begun: bool) -> QvqError:
    """Put an exception of huggingface_hub, httpx or the sockets below them into our words.

    Args: has_begun: whether bytes of a file had begun to arrive. An answer that is cut before its
        first byte counts as one that had.
    """
    where = repo or endpoint
    if isinstance(error, OfflineModeIsEnabled):
        return UnreachableError(
            "HF_HUB_OFFLINE is set, so nothing can be fetched",
            hint="unset HF_HUB_OFFLINE, or bring the files: qvq import PATH",
            reference="hub-offline",
        )
    if isinstance(error, HfHubHTTPError):
        return _of_answer(error, where, endpoint)
    if isinstance(error, httpx2.UnsupportedProtocol | httpx2.InvalidURL | ValueError):
        return ConfigError(
            f"{endpoint} is not the address of a Hub",
            hint="set HF_ENDPOINT to https://…, or unset it",
            reference="bad-endpoint",
        )
    if isinstance(error, httpx2.ProxyError):
        return UnreachableError(
            f"the proxy doesn't let us through to {endpoint}: {_words(error)}",
            hint="check HTTPS_PROXY, HTTP_PROXY and NO_PROXY",
            reference="proxy-failed",
        )
    if isinstance(error, FileNotFoundError) or (
        isinstance(error, OSError) and error.filename is not None
    ):
        return _of_file(error)
    if has_begun or isinstance(error, httpx2.RemoteProtocolError | httpx2.ReadError):
        return TransferError(f"the connection to {where} broke off: {_words(error)}", hint=AGAIN)
    return _of_connection(error, endpoint)


def _of_file(error: OSError) -> ConfigError:
    """A file that the libraries wanted on the way, such as the token: nothing of the network's."""
    # Python's SSL names no file.
    name = error.filename or os.environ.get("SSL_CERT_FILE") or "a file of certificates"
    return ConfigError(
        f"{name} can't be read: {error.strerror or error}",
        hint="the Hub's token is looked for in HF_HOME, certificates in SSL_CERT_FILE: set them to "
        "what you may read, or unset them",
        reference="unreadable-setting",
    )


def _of_connection(error: Exception, endpoint: str) -> UnreachableError:
    if isinstance(error, httpx2.TimeoutException):
        return UnreachableError(
            f"{endpoint} doesn't answer", hint=f"try again later; {AGAIN}", reference="hub-timeout"
        )
    if _is_certificate(error):
        return UnreachableError(
            f"the certificate of {endpoint} isn't trusted: {_words(error)}",
            hint="behind a company's proxy, set SSL_CERT_FILE to its certificates",
            reference="bad-certificate",
        )
    return UnreachableError(
        f"{endpoint} can't be reached: {_words(error)}",
        hint="check the network, then run it again; without one, bring the files: qvq import PATH",
    )


def _is_certificate(error: BaseException | None) -> bool:
    while error is not None:
        is_ours = isinstance(error, ssl.SSLCertVerificationError)
        if is_ours or "CERTIFICATE_VERIFY_FAILED" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False


def _of_answer(error: HfHubHTTPError, where: str, endpoint: str) -> QvqError:
    """An answer that isn't the one hoped for."""
    code = error.response.status_code
    if isinstance(error, GatedRepoError):
        return _gated(where, endpoint)
    if isinstance(error, DisabledRepoError):
        return DeniedError(f"the Hub has disabled {where}", hint="qvq models lists others")
    if isinstance(error, RepositoryNotFoundError):
        return _no_repository(code, where, endpoint)
    if isinstance(error, RevisionNotFoundError):
        return UnavailableError(
            f"the revision of {where} that was asked for is no longer on the Hub",
            hint="run it again; if that doesn't help, the catalog's entry is out of date",
            reference="no-revision",
        )
    if isinstance(error, RemoteEntryNotFoundError):
        return UnavailableError(
            f"{where} no longer has the file at {error.response.url.path}",
            hint="run it again: the repository may just have changed",
            reference="no-remote-file",
        )
    if code == 407:
        return UnreachableError(
            "the proxy wants a name and a password (407)",
            hint="set HTTPS_PROXY to http://NAME:PASSWORD@HOST:PORT",
            reference="proxy-failed",
        )
    if code in (401, 403):
        answering, hub = error.response.url, httpx2.URL(endpoint)
        if (answering.host, answering.port) == (hub.host, hub.port):
            return _refused(code, where)
        return _storage_refuses(code, answering.host)
    if code == 404:
        # Not the whole address: where the Hub redirects to, it carries a signature.
        place = f"{error.response.url.host}{error.response.url.path}"
        return UnavailableError(
            f"{where} lists a file that isn't there any more: {place} answers 404",
            hint="run it again: the repository may just have changed",
            reference="no-remote-file",
        )
    if code == 416:
        return TransferError(
            f"{where} sends fewer bytes than the Hub lists",
            hint="run it again: the repository may just have changed",
            reference="short-file",
        )
    return _later(error, code)


def _gated(where: str, endpoint: str) -> DeniedError:
    page = f"{endpoint}/{where}"
    if get_token() is None:
        return DeniedError(
            f"{where} is gated: its publisher wants you to agree to terms first",
            hint=f"agree at {page}, then {_LOGIN}",
            reference="gated",
        )
    return DeniedError(
        f"{where} is gated, and your account isn't on its list",
        hint=f"ask for access at {page}; some publishers take days to answer",
        reference="gated",
    )


def _no_repository(code: int, where: str, endpoint: str) -> QvqError:
    # The Hub tells strangers 401 for what is private and for what isn't there.
    if code in (401, 403):
        return DeniedError(
            f"there is no public repository {where}: it is private, or its name is wrong",
            hint=f"look for it at {endpoint}/{where}; if it is yours, {_LOGIN}",
            reference="private-or-missing",
        )
    private = "" if get_token() else f"; if it is private, {_LOGIN}"
    return UnavailableError(
        f"there is no repository {where} on {endpoint}",
        hint=f"check the spelling of OWNER/REPO{private}",
        reference="no-repository",
    )


def _refused(code: int, where: str) -> DeniedError:
    if get_token() is None:
        return DeniedError(f"the Hub wants a login for {where} ({code})", hint=_LOGIN)
    return DeniedError(
        f"the Hub refuses your token for {where} ({code})",
        hint="get a new one with read access at https://huggingface.co/settings/tokens, then "
        + _LOGIN,
        reference="bad-token",
    )


def _storage_refuses(code: int, storage: str) -> BusyError:
    """Where the Hub redirects to gets no token of ours: its addresses are signed, for a while."""
    return BusyError(
        f"{storage}, where the Hub keeps the file, refuses it ({code})",
        hint=f"{AGAIN}; if that doesn't help, see whether this machine's clock is right and "
        "whether its network lets that address through",
        reference="storage-refuses",
    )


def _later(error: HfHubHTTPError, code: int) -> BusyError:
    said = error.response.headers.get("Retry-After", "")
    wait_s = int(said) if said.isdigit() else None
    when = "in a few minutes" if wait_s is None else f"in {max(wait_s, 1)} s"
    if code == 429:
        more = f"; with a token the limit is higher: {_LOGIN}" if get_token() is None else ""
        return BusyError(
            "the Hub has had too many requests from here (429)",
            hint=f"run it again {when}{more}",
            reference="rate-limited",
            wait_s=wait_s,
        )
    what = "is in trouble" if code >= 500 else "doesn't take the request"
    return BusyError(
        f"the Hub {what}: it answers {code}",
        hint=f"run it again {when}; what is already here stays",
        reference="hub-stumbles",
        wait_s=wait_s,
    )


def _words(error: Exception) -> str:
    """The last words of an exception, in one line."""
    text = " ".join(str(error).split())
    return text or type(error).__name__
