"""What is measured of one model on a GPU, each row by itself: qvq next to llama.cpp's own tools.

Every row is a run of a program from its start, most of them of qvq as people type it.
"""

import json
import os
import re
import statistics
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from bench import (
    MAX_ANSWER,
    MAX_THINKING,
    N_VOTES,
    QUESTION,
    SECOND_QUESTION,
    has_reasoning,
)
from gpu_memory import gpu_peak
from gpu_record import MissingError, Record, Values, needed
from measure import until_begun
from server import SPECULATIONS, fastest, server_command, server_decode_tps
from shaped import Pair

BATCHES = range(1, 9)
MAX_THINKING_AGAIN = 512
"""For what is said again: so long that the first passes of each size count for little."""
SAMPLED = ("--temperature", "0.6", "--top-p", "0.95", "--top-k", "40")
GB = 1e9
_ENCODED = re.compile(r"(?:slice encoded|encoding done) in (\d+) ms")


@dataclass(frozen=True)
class Tools:
    """Where the programs are. n_gpu_layers: as qvq's option; "auto" on a GPU.

    longest_s: what any run may take; a program that hangs must not cost the rest.
    """

    bench: Path
    mtmd_cli: Path
    server: Path
    n_gpu_layers: str
    longest_s: float

    @property
    def peer_layers(self) -> str:
        """What llama.cpp's tools are told, who would not look whether there is room."""
        return "99" if self.n_gpu_layers == "auto" else self.n_gpu_layers


@dataclass(frozen=True)
class Subject:
    """A model, its picture, and how often and how long it is measured.

    picture: of image_tokens exactly, so that nobody resizes it. threads: as many as qvq takes by
    itself. n_runs: of what is compared.
    """

    name: str
    pair: Pair
    picture: Path
    image_tokens: int
    threads: int
    max_thinking: int
    n_runs: int
    bench_seconds: float


@dataclass
class Found:
    """Values of rows that later rows rest on; empty where they failed."""

    first: Values = field(default_factory=dict)
    bench: Values = field(default_factory=dict)
    peers: Values = field(default_factory=dict)
    votes: Values = field(default_factory=dict)
    second: Values = field(default_factory=dict)


@dataclass
class Rows:
    """All rows of one model."""

    subject: Subject
    tools: Tools
    record: Record
    bandwidth: Values
    found: Found = field(default_factory=Found)

    def measure_speed(self) -> None:
        """What most other rows rest on."""
        found = self.found
        found.first = self._row("first question", self.first_question)
        found.peers = self._row("llama-bench", self.llama_bench)
        self._row("decode, to llama-bench", self.decode)
        found.bench = self._row("qvq bench", self.qvq_bench)
        self._row("decode, of the bandwidth", self.share_of_bandwidth)
        self._row("batches of 1 to 8, cost", self.batches)

    def measure_more(self) -> None:
        """In the order of their worth: the time may be over before the end."""
        found = self.found
        found.votes = self._row(f"{N_VOTES} votes, to one chain", self.votes)
        self._row("GPU memory, to qvq plan", self.memory)
        found.second = self._row("second question, to first", self.second_question)
        self._row("the same question again, to first", self.same_question)
        self._row("picture, to llama-mtmd-cli", self.picture)
        self._row(f"GPU memory with {N_VOTES} votes, to qvq plan", self.votes_memory)

    def _row(self, what: str, row: Callable[[], Values]) -> Values:
        return self.record.measure(self.subject.name, what, row)

    # what is run

    def solve(self, question: str, *options: str, cache: str | None = None) -> Values:
        """One run of qvq solve.

        Args: cache: a folder. Returns: its result, and ttft_s from the program's start.
        """
        subject, n_image = self.subject, str(self.subject.image_tokens)
        limits = ("--image-tokens-min", n_image, "--image-tokens-max", n_image)
        bounds = ("--max-thinking", str(subject.max_thinking), "--max-answer", str(MAX_ANSWER))
        alike = ("--dialect", "heading", "--system", "", "--jsonl")
        command = [*qvq("solve", str(subject.picture), question), *self._files(), *limits]
        command += [*bounds, *alike, *self._layers(), "--cache" if cache else "--no-cache"]
        with _environment("QVQ_CACHE", cache):
            done = until_begun([*command, *options], has_reasoning, self._timeout_s())
        result: Values = json.loads(done.stdout.splitlines()[-1])
        if result["usage"]["image_tokens"] != subject.image_tokens:
            raise ValueError(f"the picture took {result['usage']['image_tokens']} tokens")
        return {**result, "ttft_s": done.ttft_s}

    def json_of(self, command: Sequence[str]) -> Any:
        """What a program prints as JSON. Raises: as run."""
        return json.loads(run(command, self._timeout_s()).stdout)

    def _timeout_s(self) -> float:
        return max(1.0, min(self.tools.longest_s, self.record.left_s + 15.0))

    def _files(self) -> list[str]:
        return ["--model", str(self.subject.pair.model), "--mmproj", str(self.subject.pair.mmproj)]

    def _layers(self) -> list[str]:
        return ["--n-gpu-layers", self.tools.n_gpu_layers]

    # rows

    def first_question(self) -> Values:
        """Load, picture, prompt, decoding without drafts, of one run with nothing kept before."""
        with gpu_peak() as peak:
            result = self.solve(QUESTION, "--no-drafts")
        timings, usage = result["timings"], result["usage"]
        tps = [timings["decode_tps"]]
        tps += [
            self.solve(QUESTION, "--no-drafts")["timings"]["decode_tps"]
            for _ in range(self.subject.n_runs - 1)
        ]
        n_bytes = sum(path.stat().st_size for path in self.subject.pair)
        load_s = timings["load_s"]
        return {
            "shown": f"{result['ttft_s']:.2f} s to the first token, of that {load_s:.2f} s to load "
            f"({n_bytes / load_s / GB:.1f} GB/s)",
            "ttft_s": result["ttft_s"],
            "timings": timings,
            "usage": usage,
            "decode_tps": tps,
            "gpu_bytes": peak.more_bytes,
        }

    def llama_bench(self) -> Values:
        """llama-bench over as many tokens as qvq said behind as long a prompt, and on batches."""
        usage = needed(self.found.first, "usage")
        n_decode = usage["reasoning_tokens"] + usage["answer_tokens"]
        n_prompt = usage["prompt_tokens"]
        sizes = ",".join(str(size) for size in (*BATCHES, n_prompt))
        command = [str(self.tools.bench), "-m", str(self.subject.pair.model)]
        command += ["-p", sizes, "-n", str(n_decode), "-d", str(n_prompt)]
        command += ["-ngl", self.tools.peer_layers, "-t", str(self.subject.threads)]
        command += ["-r", str(max(2, self.subject.n_runs))]
        rates = {
            (result["n_prompt"], result["n_gen"]): statistics.median(result["samples_ts"])
            for result in self.json_of([*command, "-o", "json"])
        }
        decode, prefill = rates[0, n_decode], rates[n_prompt, 0]
        single_s = 1 / rates[1, 0]
        return {
            "shown": f"decode {decode:.4g} tok/s, prefill {prefill:,.0f} tok/s",
            "decode_tps": decode,
            "prefill_tps": prefill,
            "costs": {size: size / rates[size, 0] / single_s for size in BATCHES},
        }

    def decode(self) -> Values:
        ours = statistics.median(needed(self.found.first, "decode_tps"))
        peer = needed(self.found.peers, "decode_tps")
        return {
            "shown": f"{ours:.4g} tok/s, llama-bench {peer:.4g} ({ours / peer:.3f}x)",
            "ratio": ours / peer,
        }

    def to_server(self) -> Values:
        """Decoding with drafts out of the text, qvq's and the faster of llama-server's own."""
        subject, server = self.subject, self.tools.server
        if not server.is_file():
            raise MissingError(f"there is no {server.name}")
        n_image, n_ctx = subject.image_tokens, 4096
        command = server_command(server, subject.pair, n_image, n_ctx, subject.threads)
        command += ["-ngl", self.tools.peer_layers]
        n_max = subject.max_thinking + MAX_ANSWER
        ours: list[float] = []
        theirs: dict[str, list[float]] = {kind: [] for kind in SPECULATIONS}
        for _ in range(subject.n_runs):
            ours.append(self.solve(QUESTION)["timings"]["decode_tps"])
            for kind in SPECULATIONS:
                tps = server_decode_tps(command, kind, subject.picture, QUESTION, n_max)
                theirs[kind].append(tps)
        peer, median = statistics.median(fastest(theirs.values())), statistics.median(ours)
        return {
            "shown": f"{median:.4g} tok/s, llama-server {peer:.4g} ({median / peer:.3f}x)",
            "ratio": median / peer,
            "qvq_tps": ours,
            "server_tps": theirs,
        }

    def qvq_bench(self) -> Values:
        """All that qvq bench tells; its forecasts too, which rest on a model as large as these."""
        seconds = str(self.subject.bench_seconds)
        command = ["bench", str(self.subject.pair.model), "--seconds", seconds, "--json"]
        found: Values = self.json_of(qvq(*command, *self._layers()))
        prefill, picture = needed(found, "prefill"), needed(found, "picture")
        return {
            "shown": f"decode {found['decode']['tokens_per_s']:.4g} tok/s, prefill "
            f"{prefill['tokens_per_s']:,.0f} tok/s, a picture of {picture['image_tokens']:,} "
            f"tokens {picture['seconds']:.3f} s",
            "report": found,
        }

    def share_of_bandwidth(self) -> Values:
        """Bytes of weights that a token reads, by what a copy in the GPU's memory achieves."""
        bench, copied = needed(self.found.bench, "report"), needed(self.bandwidth, "bytes_per_s")
        ours = statistics.median(needed(self.found.first, "decode_tps"))
        token_bytes = bench["weight_bytes_per_s"] / bench["decode"]["tokens_per_s"]
        read = token_bytes * ours
        return {
            "shown": f"{read / copied:.0%} ({read / GB:,.0f} of {copied / GB:,.0f} GB/s)",
            "share": read / copied,
            "bytes_per_token": token_bytes,
        }

    def batches(self) -> Values:
        """What a pass with more tokens costs, next to one with a single token."""
        batches = needed(self.found.bench, "report")["batches"]
        ours = {each["tokens"]: each["cost"] for each in batches}
        peers = self.found.peers.get("costs")
        beside = f"; llama-bench {_costs(peers)}" if peers else ""
        return {
            "shown": _costs(ours) + beside,
            "costs": ours,
            "llama_bench_costs": peers,
        }

    def votes(self) -> Values:
        """Votes next to one chain, sampled alike; what is loaded and read before is there once."""
        bounds = ("--max-thinking", str(MAX_THINKING), *SAMPLED)
        runs, peaks = [], []
        for options in ((), ("--votes", str(N_VOTES))):
            with gpu_peak() as peak:
                runs.append(self.solve(QUESTION, *bounds, *options))
            peaks.append(peak.more_bytes)
        one, many = runs
        whole_s, said_s, tokens = zip(*(_spent(run) for run in runs), strict=True)
        tps = [n / seconds for n, seconds in zip(tokens, said_s, strict=True)]
        return {
            "shown": f"whole run {whole_s[1] / whole_s[0]:.2f}x, behind the first token "
            f"{said_s[1] / said_s[0]:.2f}x ({tps[1]:,.0f} to {tps[0]:,.0f} tok/s), memory "
            f"{_ratio(peaks[1], peaks[0])}",
            "run_s": whole_s,
            "said_s": said_s,
            "tokens": tokens,
            "gpu_bytes": peaks,
            "finish": (one["finish"], many["finish"]),
        }

    def memory(self) -> Values:
        return self._beside_plan(needed(self.found.first, "gpu_bytes"), self.subject.max_thinking)

    def votes_memory(self) -> Values:
        _, peak = needed(self.found.votes, "gpu_bytes")
        if peak is None:
            raise MissingError("there is no nvidia-smi")
        return self._beside_plan(peak, MAX_THINKING, "--votes", str(N_VOTES))

    def _beside_plan(self, peak: int, max_thinking: int, *options: str) -> Values:
        """A run's peak on the GPU beside what qvq plan says of it."""
        bounds = ("--max-thinking", str(max_thinking), "--max-answer", str(MAX_ANSWER))
        picture = ("--image-tokens-max", str(self.subject.image_tokens))
        command = ["plan", str(self.subject.pair.model), *bounds, *picture, *options, "--json"]
        plan = self.json_of(qvq(*command, *self._layers()))
        planned = sum(use["total_bytes"] for use in plan["devices"] if use["name"] != "CPU")
        return {
            "shown": f"{peak / GB:.2f} GB, planned {planned / GB:.2f} GB "
            f"({_ratio(peak, planned)}, {(peak - planned) / GB:+.2f} GB)",
            "gpu_bytes": peak,
            "planned_bytes": planned,
            "plan": plan,
        }

    def same_question(self) -> Values:
        """The whole run again, with drafts out of what was said the first time."""
        long = ("--max-thinking", str(max(self.subject.max_thinking, MAX_THINKING_AGAIN)))
        with TemporaryDirectory() as folder:
            runs = [self.solve(QUESTION, *long, cache=folder) for _ in range(2)]
        first, again = (run["timings"]["decode_tps"] for run in runs)
        is_same = _say_the_same(*runs)
        whole_s = [run["timings"]["total_s"] for run in runs]
        return {
            "shown": f"decode {again:,.4g} of {first:,.4g} tok/s ({again / first:.2f}x), whole run "
            f"{whole_s[1]:.2f} of {whole_s[0]:.2f} s, {'the same' if is_same else 'another'} text",
            "ratio": again / first,
            "run_s": whole_s,
            "usage": [run["usage"] for run in runs],
            "is_same": is_same,
        }

    def second_question(self) -> Values:
        """Another question about a picture that is known, and the same without what was kept.

        That third run has drafts, so its text also tells whether they change any.
        """
        with TemporaryDirectory() as folder:
            brief = ("--no-drafts", "--max-thinking", "16")
            first = self.solve(QUESTION, *brief, cache=folder)
            second = self.solve(SECOND_QUESTION, "--no-drafts", cache=folder)
        anew = self.solve(SECOND_QUESTION)
        is_same = _say_the_same(second, anew)
        ratio = second["ttft_s"] / first["ttft_s"]
        return {
            "shown": f"{second['ttft_s']:.2f} s of {first['ttft_s']:.2f} s ({ratio:.3f}x), "
            f"{'the same' if is_same else 'another'} text as anew",
            "ratio": ratio,
            "is_same": is_same,
            "cached_tokens": second["usage"]["cached_tokens"],
            "timings": [run["timings"] for run in (first, second, anew)],
            "plain_tps": second["timings"]["decode_tps"],
            "drafts_tps": anew["timings"]["decode_tps"],
            "drafted": anew["usage"]["drafted"],
        }

    def idle_drafts(self) -> Values:
        """Decoding with drafts that hardly ever find anything, next to decoding without."""
        plain, drafts = (needed(self.found.second, key) for key in ("plain_tps", "drafts_tps"))
        return {
            "shown": f"{drafts / plain:.3f}x ({self.found.second['drafted']} tokens drafted)",
            "ratio": drafts / plain,
        }

    def picture(self) -> Values:
        """A picture's first encoding in a program, ours and llama-mtmd-cli's by its own clock."""
        ours_s = needed(self.found.first, "timings")["image_s"]
        subject, n_image = self.subject, str(self.subject.image_tokens)
        command = [str(self.tools.mtmd_cli), "-m", str(subject.pair.model)]
        command += ["--mmproj", str(subject.pair.mmproj), "--image", str(subject.picture)]
        command += ["-p", QUESTION, "-n", "4", "-c", "4096", "--temp", "0", "--fit", "off"]
        command += ["-ngl", self.tools.peer_layers, "-t", str(subject.threads), "--no-warmup"]
        command += ["--image-min-tokens", n_image, "--image-max-tokens", n_image]
        done = run(command, self._timeout_s())
        said = _ENCODED.search(done.stdout + done.stderr)
        peer_s = None if said is None else int(said[1]) / 1000
        peer = "which doesn't tell" if peer_s is None else f"{peer_s:.3f} s"
        return {
            "shown": f"{subject.image_tokens:,} tokens: {ours_s:.3f} s; llama-mtmd-cli {peer}",
            "image_s": ours_s,
            "mtmd_s": peer_s,
        }


def run(command: Sequence[str], timeout_s: float) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end. Raises: SystemExit: it failed or took too long; with its stderr."""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout_s)
    except subprocess.TimeoutExpired as error:
        raise SystemExit(f"{command[0]} took longer than {timeout_s:.0f} s") from error
    if done.returncode != 0:
        last_words = (done.stdout[-500:] + done.stderr[-3000:]).strip()
        raise SystemExit(f"exit code {done.returncode} from {' '.join(command)}\n{last_words}")
    return done


def qvq(*arguments: str) -> list[str]:
    """qvq of this source, whether or not it is installed."""
    return [sys.executable, "-m", "qvq_cli", *arguments]


def _spent(run: Values) -> tuple[float, float, int]:
    """Seconds of a whole run and behind its first token, and the tokens of all its chains."""
    timings = run["timings"]
    chains = run["votes"]["chains"] if run["votes"] else [run["usage"]]
    n_tokens = sum(chain["reasoning_tokens"] + chain["answer_tokens"] for chain in chains)
    return timings["total_s"], timings["total_s"] - timings["ttft_s"], n_tokens


def _say_the_same(one: Values, other: Values) -> bool:
    return all(one[key] == other[key] for key in ("reasoning", "answer_text"))


def _costs(costs: Mapping[int, float]) -> str:
    return " ".join(f"{costs[size]:.2f}" for size in BATCHES)


def _ratio(one: float | None, other: float | None) -> str:
    return "not measured" if one is None or not other else f"{one / other:.3f}x"


@contextmanager
def _environment(name: str, value: str | None) -> Iterator[None]:
    """A variable for the programs that are started meanwhile."""
    if value is not None:
        os.environ[name] = value
    try:
        yield
    finally:
        if value is not None:
            del os.environ[name]
