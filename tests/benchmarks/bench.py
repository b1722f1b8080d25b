"""How much qvq costs over the llama.cpp it stands on, both measured in one run.

Within a repetition the programs run one after the other, in turn forwards and backwards, so that a
machine that slows down or speeds up favours none; medians are taken over the repetitions' own
ratios. Before each run the files are read and as much memory is used and let go, so that none finds
either colder. All see the same picture at the same size and token count, with as many threads as
qvq takes by itself, and without repacked weights (which crash on CPUs with AMX). llama.cpp's tools
get what makes them fastest for one picture and one answer: no warm-up run of llama-mtmd-cli, no
fitting to devices, no larger context. But for one row, in which nobody chooses.

usage: python tests/benchmarks/bench.py [--quick] [--json FILE]
"""

import argparse
import compileall
import json
import mmap
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from measure import in_turn, peak_memory_bytes, run_s, until_begun
from peers import Peers, get_peers
from server import SPECULATIONS, fastest, server_command, server_decode_tps
from shaped import Pair, get_shaped_2b
from table import Row, format_table

from qvq_cli.cli.planning import choose_batch_threads, choose_threads
from qvq_cli.hub.memory import cpu_has_amx

ROOT = Path(__file__).resolve().parents[2]
NANO_DIR = ROOT / "models" / "nano"
PICTURE = ROOT / "tests" / "data" / "published-0.png"
IMAGE_TOKENS = 150  # 420x280 px: the picture is on the patch grid already, nobody resizes it
QUESTION = "Given h(x) = f(x) * g(x), find h'(2)"
SECOND_QUESTION = "What is the value of g'(1)?"
MAX_THINKING = 128
MAX_ANSWER = 256
N_VOTES = 8
MIB = 1 << 20
PRIVATE = {} if sys.platform == "win32" else {"flags": mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS}


class Subject(NamedTuple):
    """A model and how to run it, for qvq and its peers alike.

    threads, batch_threads: as many as qvq takes by itself for one token and for several.
    max_thinking, max_answer: noise never ends by itself, nano does.
    """

    pair: Pair
    threads: int
    batch_threads: int
    max_thinking: int
    max_answer: int = MAX_ANSWER


NANO_PAIR = Pair(NANO_DIR / "nano-q8_0.gguf", NANO_DIR / "mmproj-nano-q8_0.gguf")
NANO = Subject(NANO_PAIR, choose_threads(None, is_tiny=True), choose_batch_threads(), 1024)


class Counts(NamedTuple):
    """Repetitions of each measurement.

    large, nano: decode and first token. defaults: the 2B's first token as both programs come, and
    its drafts. drafts: nano's. server: llama-server, and nano asked the same again. again: the 2B
    asked a second question, and the same again. busy: the 2B beside another program.

    nano has many: its 300 tokens are over in half a second, and on a machine that others share
    such runs differ by half and more.
    """

    large: int
    nano: int
    defaults: int
    drafts: int
    server: int
    again: int
    busy: int
    votes: int
    startup: int
    memory: int


FULL = Counts(
    large=10,
    nano=60,
    defaults=6,
    drafts=120,
    server=12,
    again=5,
    busy=5,
    votes=12,
    startup=15,
    memory=2,
)
QUICK = Counts(
    large=2, nano=4, defaults=2, drafts=4, server=2, again=2, busy=2, votes=2, startup=5, memory=1
)


class Repetition(NamedTuple):
    """One run of each program on one model."""

    qvq_ttft_s: float
    mtmd_ttft_s: float
    qvq_decode_tps: float
    bench_decode_tps: float


def qvq(*arguments: str) -> list[str]:
    """qvq as it is installed beside this Python."""
    name = "qvq.exe" if sys.platform == "win32" else "qvq"
    return [str(Path(sys.executable).parent / name), *arguments]


def qvq_solve(
    subject: Subject, question: str = QUESTION, *, cache: bool = False, drafts: bool = True
) -> list[str]:
    """Nothing comes from an earlier run unless `cache` says so: no peer has such a thing."""
    files = ("--model", str(subject.pair.model), "--mmproj", str(subject.pair.mmproj))
    # llama-mtmd-cli sends no system prompt, so neither does qvq.
    alike = ("--no-repack", "--dialect", "heading", "--system", "")
    own = ("--cache" if cache else "--no-cache", "--drafts" if drafts else "--no-drafts")
    run = ("--jsonl", *alike, *own)
    bounds = (
        *("--max-thinking", str(subject.max_thinking)),
        *("--max-answer", str(subject.max_answer)),
    )
    limits = ("--image-tokens-min", str(IMAGE_TOKENS), "--image-tokens-max", str(IMAGE_TOKENS))
    return qvq("solve", str(PICTURE), question, *files, *run, *bounds, *limits)


def mtmd_cli(peers: Peers, subject: Subject, prompt_tokens: int) -> list[str]:
    pair, threads = subject.pair, ("-t", str(subject.threads), "-tb", str(subject.batch_threads))
    n_ctx = prompt_tokens + subject.max_thinking + subject.max_answer
    files = ("-m", str(pair.model), "--mmproj", str(pair.mmproj), "--image", str(PICTURE))
    run = (*threads, "-n", "16", "-c", str(n_ctx), "--temp", "0", "--no-repack")
    limits = ("--image-min-tokens", str(IMAGE_TOKENS), "--image-max-tokens", str(IMAGE_TOKENS))
    fastest = ("--no-warmup", "--fit", "off")
    return [str(peers.mtmd_cli), *files, "-p", QUESTION, *run, *limits, *fastest]


def bench_decode_tps(peers: Peers, subject: Subject, usage: dict[str, int]) -> float:
    """llama-bench's tokens per second over as many tokens as qvq said, behind as long a prompt.

    Every token makes the next one dearer: on nano, twice the depth is half the speed. It runs them
    once, as qvq does, but behind a warm-up.
    """
    n_decode = usage["reasoning_tokens"] + usage["answer_tokens"]
    run = ("-p", "0", "-n", str(n_decode), "-d", str(usage["prompt_tokens"]))
    how = ("-r", "1", "-t", str(subject.threads), "--repack", "0")
    command = [str(peers.bench), "-m", str(subject.pair.model), *run, *how, "-o", "json"]
    (result,) = json.loads(until_begun(command, bool).stdout)
    return float(result["avg_ts"])


def has_reasoning(stdout: bytes) -> bool:
    """qvq --jsonl: the first piece of reasoning is out."""
    return b'"event": "reasoning_delta"' in stdout


def has_text(stdout: bytes) -> bool:
    """llama-mtmd-cli prints one newline when the prompt is read, then the reply as it comes."""
    return len(stdout) > 1


def solve(
    subject: Subject, *, cache: bool = False, drafts: bool = True
) -> tuple[float, dict[str, Any]]:
    """One run of qvq. Returns: seconds to its first text, and its result."""
    ours = until_begun(qvq_solve(subject, cache=cache, drafts=drafts), has_reasoning)
    result: dict[str, Any] = json.loads(ours.stdout.splitlines()[-1])
    n_image = result["usage"]["image_tokens"]
    if n_image != IMAGE_TOKENS:
        sys.exit(f"qvq used {n_image} image tokens instead of {IMAGE_TOKENS}")
    return ours.ttft_s, result


def warm(pair: Pair) -> None:
    """Have both files in memory, and the memory for them: what lay idle for seconds may be gone.

    A virtual machine may give free memory back to its host, from which 1.3 GB then take 2 to 3 s.
    """
    for path in pair:
        with path.open("rb") as file:
            while file.read(1 << 24):
                pass
    with mmap.mmap(-1, pair.mmproj.stat().st_size, **PRIVATE) as memory:
        if hasattr(mmap, "MADV_HUGEPAGE"):
            memory.madvise(mmap.MADV_HUGEPAGE)
        for page in range(0, len(memory), mmap.PAGESIZE):
            memory[page] = 1


def compare(peers: Peers, subject: Subject, n: int) -> tuple[list[Repetition], int]:
    """Run qvq without drafts, llama-mtmd-cli and llama-bench n times each.

    Returns: also the prompt's tokens.
    """
    usage = solve(subject)[1]["usage"]
    prompt_tokens = usage["prompt_tokens"]

    def run(program: str) -> tuple[float, ...]:
        warm(subject.pair)
        if program == "qvq":
            ttft_s, result = solve(subject, drafts=False)
            return ttft_s, result["timings"]["decode_tps"]
        if program == "bench":
            return (bench_decode_tps(peers, subject, usage),)
        return (until_begun(mtmd_cli(peers, subject, prompt_tokens), has_text).ttft_s,)

    runs = []
    for i in range(n):
        took = {program: run(program) for program in in_turn(("bench", "qvq", "mtmd"), i)}
        qvq_ttft_s, qvq_tps = took["qvq"]
        runs.append(Repetition(qvq_ttft_s, took["mtmd"][0], qvq_tps, took["bench"][0]))
    return runs, prompt_tokens


def beside_another(peers: Peers, subject: Subject, n: int) -> list[tuple[float, float]]:
    """Tokens per second of qvq and of llama-bench while another program keeps a core busy."""
    usage = solve(subject)[1]["usage"]
    pairs = []
    for i in range(n):
        tps = {}
        for program in in_turn(("bench", "qvq"), i):
            warm(subject.pair)
            with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as other:
                try:
                    if program == "qvq":
                        tps[program] = solve(subject, drafts=False)[1]["timings"]["decode_tps"]
                    else:
                        tps[program] = bench_decode_tps(peers, subject, usage)
                finally:
                    other.kill()
        pairs.append((tps["qvq"], tps["bench"]))
    return pairs


def as_they_come(
    peers: Peers, subject: Subject, prompt_tokens: int, n: int
) -> list[tuple[float, float]]:
    """Seconds to the first token of qvq and of llama-mtmd-cli when nobody chose what is faster."""
    chosen = {"--no-repack", "--no-warmup", "--fit", "off"}
    ours, theirs = (
        [word for word in command if word not in chosen]
        for command in (qvq_solve(subject), mtmd_cli(peers, subject, prompt_tokens))
    )
    programs = ((ours, has_reasoning), (theirs, has_text))
    pairs = []
    for i in range(n):
        took = {}
        for command, has_begun in in_turn(programs, i):
            warm(subject.pair)
            took[command[0]] = until_begun(command, has_begun).ttft_s
        pairs.append((took[ours[0]], took[theirs[0]]))
    return pairs


def measure_memory(
    peers: Peers, subject: Subject, prompt_tokens: int, n: int
) -> list[tuple[float, float]]:
    """Peak MiB of qvq and of llama-mtmd-cli, in runs of their own: watching a program slows it."""
    commands = qvq_solve(subject), mtmd_cli(peers, subject, prompt_tokens)
    return [
        (peak_memory_bytes(commands[0]) / MIB, peak_memory_bytes(commands[1]) / MIB)
        for _ in range(n)
    ]


def second_question(subject: Subject, n: int) -> list[tuple[float, float]]:
    """Seconds to the first token of a second question about a picture, and of the first."""
    pairs = []
    for _ in range(n):
        warm(subject.pair)
        with tempfile.TemporaryDirectory() as folder:
            os.environ["QVQ_CACHE"] = folder
            first, second = (
                until_begun(qvq_solve(subject, question, cache=True), has_reasoning).ttft_s
                for question in (QUESTION, SECOND_QUESTION)
            )
        pairs.append((second, first))
    return pairs


def same_question(subject: Subject, n: int) -> list[tuple[float, float]]:
    """Tokens per second of a question asked again, and of the first time, nothing being forced."""
    pairs = []
    for _ in range(n):
        with tempfile.TemporaryDirectory() as folder:
            os.environ["QVQ_CACHE"] = folder
            first, again = (solve(subject, cache=True)[1] for _ in range(2))
        if first["reasoning"] != again["reasoning"]:
            print("asked again, it said something else", file=sys.stderr)
        pairs.append((again["timings"]["decode_tps"], first["timings"]["decode_tps"]))
    return pairs


def new_question(subject: Subject, n: int) -> list[tuple[float, float]]:
    """Tokens per second with drafts and without, of a question that was never asked before."""
    pairs = []
    for i in range(n):
        warm(subject.pair)
        tps = {
            drafts: solve(subject, drafts=drafts)[1]["timings"]["decode_tps"]
            for drafts in in_turn((True, False), i)
        }
        pairs.append((tps[True], tps[False]))
    return pairs


def against_server(peers: Peers, subject: Subject, n: int) -> list[tuple[float, float]]:
    """Tokens per second of qvq with its drafts, and of llama-server with the faster of its own."""
    n_ctx = IMAGE_TOKENS + subject.max_thinking + 2 * subject.max_answer
    command = server_command(peers.server, subject.pair, IMAGE_TOKENS, n_ctx, subject.threads)
    command += ["-tb", str(subject.batch_threads), "--no-repack", "--no-warmup"]
    n_max = subject.max_thinking + subject.max_answer
    rates: dict[str, list[float]] = {program: [] for program in ("qvq", *SPECULATIONS)}
    for i in range(n):
        warm(subject.pair)
        for program in in_turn(list(rates), i):
            if program == "qvq":
                tps = solve(subject)[1]["timings"]["decode_tps"]
            else:
                tps = server_decode_tps(command, program, PICTURE, QUESTION, n_max)
            rates[program].append(tps)
    ours = rates.pop("qvq")
    return list(zip(ours, fastest(rates.values()), strict=True))


def model_rows(peers: Peers, counts: Counts) -> list[Row]:
    """Decode speed, time to first token and memory, on both models."""
    n_threads = choose_threads(None, is_tiny=False)
    large = Subject(get_shaped_2b(peers.source), n_threads, n_threads, MAX_THINKING)
    on_2b, n_prompt_2b = compare(peers, large, counts.large)
    on_nano, n_prompt_nano = compare(peers, NANO, counts.nano)
    # Where the CPU has AMX, llama-mtmd-cli as it comes may crash (llama.cpp issue 20824).
    defaults_2b = [] if cpu_has_amx() else as_they_come(peers, large, n_prompt_2b, counts.defaults)
    new_2b, new_nano = new_question(large, counts.defaults), new_question(NANO, counts.drafts)
    server_nano = against_server(peers, NANO, counts.server)
    again_2b = second_question(large, counts.again)
    same_2b, same_nano = same_question(large, counts.again), same_question(NANO, counts.server)
    # Two tokens a second may be all there is: fewer of them.
    busy_2b = beside_another(peers, large._replace(max_thinking=24, max_answer=16), counts.busy)
    memory_2b = measure_memory(peers, large, n_prompt_2b, counts.memory)
    memory_nano = measure_memory(peers, NANO, n_prompt_nano, counts.memory)

    def decode(runs: list[Repetition]) -> list[tuple[float, float]]:
        return [(run.qvq_decode_tps, run.bench_decode_tps) for run in runs]

    def ttft(runs: list[Repetition]) -> list[tuple[float, float]]:
        return [(run.qvq_ttft_s, run.mtmd_ttft_s) for run in runs]

    first, same = "time to first token", "decode, the same again, to first"
    new, server = "decode, drafts, to none", "decode, drafts, to llama-server's"
    return [
        Row("decode, 2B", "tok/s", decode(on_2b), wanted="at least", target=0.99),
        Row("decode, nano", "tok/s", decode(on_nano), wanted="at least", target=0.95),
        Row("decode, 2B, beside a program", "tok/s", busy_2b, wanted="at least", target=1.0),
        Row(f"{new}, 2B", "tok/s", new_2b, wanted="at least", target=0.97),
        Row(f"{new}, nano", "tok/s", new_nano, wanted="at least", target=0.97),
        Row(f"{server}, nano", "tok/s", server_nano, wanted="at least", target=1.0),
        Row(f"{first}, 2B", "s", ttft(on_2b), target=1.05),
        *([Row(f"{first}, 2B, as both come", "s", defaults_2b)] if defaults_2b else []),
        Row(f"{first}, nano", "s", ttft(on_nano), "difference", target=0.5),
        Row("second question, to first, 2B", "s", again_2b, target=0.15),
        Row(f"{same}, 2B", "tok/s", same_2b, wanted="at least"),
        Row(f"{same}, nano", "tok/s", same_nano, wanted="at least", target=1.3),
        Row("peak memory, 2B", "MiB", memory_2b, target=1.05),
        Row("peak memory, nano", "MiB", memory_nano, "difference"),
    ]


def votes_rows(n: int, n_memory: int) -> list[Row]:
    """Votes of nano next to one of its chains: whole runs, sampled alike, with as much thinking."""
    sampled = ("--temperature", "0.6", "--top-p", "0.95", "--top-k", "40")
    one = [*qvq_solve(NANO._replace(max_thinking=MAX_THINKING)), *sampled]
    many = [*one, "--votes", str(N_VOTES)]
    times = [(run_s(many), run_s(one)) for _ in range(n)]
    peaks = [(peak_memory_bytes(many) / MIB, peak_memory_bytes(one) / MIB) for _ in range(n_memory)]
    what = f"{N_VOTES} votes, nano, to one chain"
    return [
        Row(what, "s", times, target=3.0),
        Row(f"{what}: memory", "MiB", peaks, target=1.3),
    ]


def startup_rows(n: int) -> list[Row]:
    """Commands that load no model, next to a Python that imports Typer and does nothing."""
    bare = [sys.executable, "-c", "import typer"]
    rows = []
    for argument, target in (("--help", 2.5), ("--version", 1.3)):
        pairs = [(run_s(qvq(argument)), run_s(bare)) for _ in range(n)]
        rows.append(Row(f"qvq {argument}, to import typer", "s", pairs, target=target))
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="fewer repetitions, wider scatter")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every single value too")
    options = parser.parse_args()
    counts = QUICK if options.quick else FULL
    for name in [name for name in os.environ if name.startswith("QVQ_")]:
        del os.environ[name]  # QVQ_THREADS for one would bind qvq alone
    compileall.compile_dir(ROOT / "qvq_cli", quiet=1)  # as pip does with what it installs
    peers = get_peers()
    if hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5:
        print(
            f"this machine is busy (load {os.getloadavg()[0]:.1f}): expect scatter", file=sys.stderr
        )
    rows = [
        *startup_rows(counts.startup),
        *model_rows(peers, counts),
        *votes_rows(counts.votes, counts.memory),
    ]
    print(f"llama.cpp of llama-cpp-python {peers.version}; medians\n")
    print(format_table(rows))
    if options.json is not None:
        record: dict[str, Any] = {
            "llama_cpp_python": peers.version,
            "repetitions": counts._asdict(),
            "rows": [row.as_json() for row in rows],
        }
        options.json.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
