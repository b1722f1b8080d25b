"""Variables of the network that nothing can be done with: words and a code, never a traceback."""

import os
import subprocess
import sys

import pytest

from fake_hub import FakeHub, Status
from model_shop import MODEL, hub

__all__ = ["hub"]


def qvq(hub: FakeHub, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy")}
    done = subprocess.run(
        [sys.executable, "-m", "qvq_cli", *arguments],
        capture_output=True,
        text=True,
        env={**environ, "HF_ENDPOINT": hub.endpoint, **variables},
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("ALL_PROXY", "socks5://127.0.0.1:1", "pip install socksio"),
        ("ALL_PROXY", "socks://127.0.0.1:1", "ALL_PROXY, HTTPS_PROXY"),
        ("HTTP_PROXY", "http://proxy:port", "a proxy can't be used: Invalid port"),
        ("HF_ENDPOINT", "http://[x", "HF_ENDPOINT is an address"),
        ("HF_ENDPOINT", "http://hub:99999", "HF_ENDPOINT is an address"),
        ("HF_HUB_DOWNLOAD_TIMEOUT", "soon", "HF_HUB_DOWNLOAD_TIMEOUT"),
        ("HF_TOKEN", "hf_\u00fc", "look at HF_TOKEN"),
        ("SSL_CERT_FILE", "/no/such", "/no/such can't be read"),
    ],
)
def test_a_setting_is_blamed_and_named(hub: FakeHub, name: str, value: str, words: str) -> None:
    done = qvq(hub, "pull", MODEL, "--dry-run", **{name: value})
    assert (done.returncode, done.stdout) == (78, "")
    assert words in done.stderr


@pytest.mark.parametrize("name", ["ALL_PROXY", "HF_HUB_DOWNLOAD_TIMEOUT", "HF_TOKEN"])
def test_doctor_tells_it_and_goes_on(hub: FakeHub, name: str) -> None:
    done = qvq(hub, "doctor", **{name: "socks5://\u00fc"})
    assert done.returncode == 0, "only a pull needs the Hub"
    assert "warning  Hugging Face Hub: " in done.stdout


def test_tls_that_isnt_spoken_is_no_matter_of_certificates(hub: FakeHub) -> None:
    done = qvq(hub, "pull", MODEL, HF_ENDPOINT=hub.endpoint.replace("http://", "https://"))
    assert done.returncode == 75
    assert "certificate" not in done.stderr


@pytest.mark.parametrize(("token", "is_told"), [("", True), ("hf_granted", False)])
def test_a_token_is_wanted_only_where_there_is_none(
    hub: FakeHub, token: str, is_told: bool
) -> None:
    hub.fail(Status(429, retry_after_s=300))
    done = qvq(hub, "pull", MODEL, HF_TOKEN=token)
    assert done.returncode == 75
    assert ("with a token the limit is higher" in done.stderr) is is_told


@pytest.mark.parametrize(
    ("code", "words"), [(400, "doesn't take the request"), (503, "in trouble")]
)
def test_trouble_is_where_it_is(hub: FakeHub, code: int, words: str) -> None:
    hub.fail(Status(code, retry_after_s=300))
    done = qvq(hub, "pull", MODEL)
    assert done.returncode == 75
    assert f"the Hub {'is ' if code == 503 else ''}{words}: it answers {code}" in done.stderr
