"""llama-server with speculation out of the text itself, asked one question about one picture."""

import base64
import json
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from shaped import Pair

SPECULATIONS = ("ngram-simple", "ngram-mod")
"""Two of its kinds, each with its defaults."""
START_S, ANSWER_S = 120.0, 300.0


def server_command(
    server: Path, pair: Pair, image_tokens: int, n_ctx: int, n_threads: int
) -> list[str]:
    """llama-server for one question about a picture of that many tokens, without an address."""
    limits = ("--image-min-tokens", str(image_tokens), "--image-max-tokens", str(image_tokens))
    run = ("-t", str(n_threads), "-c", str(n_ctx), "-np", "1", "--fit", "off")
    return [str(server), "-m", str(pair.model), "--mmproj", str(pair.mmproj), *limits, *run]


def fastest(rates: Iterable[list[float]]) -> list[float]:
    """Of the kinds' rates the one with the highest median."""
    return max(rates, key=statistics.median)


def server_decode_tps(
    command: Sequence[str], speculation: str, picture: Path, question: str, n_max: int
) -> float:
    """Start a server, ask it once, greedy, and stop it: no reply is left over for the next.

    Returns: tokens per second, by its own account. Raises: SystemExit: it doesn't start, or
    refuses.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    address = f"http://127.0.0.1:{port}"
    process = subprocess.Popen(
        [*command, "--spec-type", speculation, "--host", "127.0.0.1", "--port", port],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        _wait_until_ready(process, address)
        found = _post(f"{address}/v1/chat/completions", _request(picture, question, n_max))
    finally:
        process.kill()
        process.wait()
    return float(found["timings"]["predicted_per_second"])


def _request(picture: Path, question: str, n_max: int) -> dict[str, Any]:
    data = base64.b64encode(picture.read_bytes()).decode()
    image = {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}}
    content = [image, {"type": "text", "text": question}]
    return {
        "messages": [{"role": "user", "content": content}],
        "max_tokens": n_max,
        "temperature": 0,
        "cache_prompt": False,
    }


def _wait_until_ready(process: "subprocess.Popen[bytes]", address: str) -> None:
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{address}/health", timeout=5):
                return
        except (urllib.error.URLError, ConnectionError):  # 503 while it loads
            time.sleep(0.05)
    sys.exit(f"llama-server did not start (exit code {process.poll()}): {process.args!r}")


def _post(address: str, body: dict[str, Any]) -> Any:
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(address, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=ANSWER_S) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        sys.exit(f"llama-server refused: {error} {error.read()[:500]!r}")
