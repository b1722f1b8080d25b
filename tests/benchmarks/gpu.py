"""qvq on a GPU next to llama.cpp's own tools: nano, and random weights in QVQ's shape and the 7B's.

Made for a machine that is lent for some minutes: nothing is compiled or fetched, every row is
written to a file as soon as it is there, rows come in the order of their worth, and one that fails
says why and ends no other. llama.cpp's libraries come from where LLAMA_CPP_LIB_PATH and
MTMD_CPP_LIB point, built for the GPU from the same source as the tools.

The shaped models are written beside the measuring (49 GB for the 72B: give --models a folder in
memory); nano's figures are taken once that is done, so that nothing else runs beside them.

usage: python tests/benchmarks/gpu.py --tools FOLDER --vocab FILE [--models FOLDER] [--out FILE]
           [--shapes 72b,7b] [--transcripts FOLDER] [--seconds N] [--longest N]
           [--n-gpu-layers auto] [--small-picture]
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

import psutil
from bench import IMAGE_TOKENS, MAX_THINKING, NANO, PICTURE
from gpu_record import MissingError, Record, Values, needed
from gpu_rows import BATCHES, GB, Rows, Subject, Tools, qvq, run
from PIL import Image
from shaped import SHAPES, shaped_pair

HERE = Path(__file__).resolve().parent
LARGE_PX, LARGE_IMAGE_TOKENS = (1176, 784), 1176
QUIET_S, WRITING_S = 60.0, 150.0  # for writing, at most: before nano is measured, after it
# Repetitions, and seconds of qvq bench: one load of the 72B takes as long as all of nano.
NANO_RUNS, RUNS = (5, 5.0), {"2b": (3, 8.0), "7b": (3, 5.0), "72b": (1, 8.0)}


def main() -> None:
    options = _options()
    tools = Tools(
        options.tools / "llama-bench",
        options.tools / "llama-mtmd-cli",
        options.tools / "llama-server",
        options.n_gpu_layers,
        options.longest,
    )
    record = Record(options.out, options.seconds)
    try:
        with TemporaryDirectory() as folder:
            models = options.models or Path(folder)
            with _writing(options.shapes, options.vocab, models) as writers:
                bandwidth = record.measure("GPU", "memory bandwidth", lambda: _bandwidth(tools))
                record.measure("GPU", "qvq doctor", lambda: _doctor(tools))
                _give_time(writers.values(), QUIET_S)
                for subject in _subjects(options, models, Path(folder)):
                    if subject.name in writers:
                        writer = writers[subject.name]
                        record.measure(subject.name, "written", lambda: _written(writer))  # noqa: B023
                    _measure(Rows(subject, tools, record, bandwidth), options)
    finally:
        print(f"\n{record.table()}", flush=True)


def _measure(rows: Rows, options: argparse.Namespace) -> None:
    """All rows of a model. Nano has reasoning of its own, the others' noise never repeats."""
    record, name = rows.record, rows.subject.name
    rows.measure_speed()
    transcripts = "drafts on QVQ's transcripts"
    record.measure(name, transcripts, lambda: _transcript_drafts(rows, options))
    rows.measure_more()
    if rows.subject.pair == NANO.pair:
        record.measure(name, "drafts on its own reasoning", lambda: _own_drafts(rows.tools))
        record.measure(name, "decode with drafts, to llama-server", rows.to_server)
    else:
        record.measure(name, "drafts where nothing repeats", rows.idle_drafts)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--tools", type=Path, required=True, help="folder of llama-bench")
    parser.add_argument("--vocab", type=Path, required=True, help="ggml-vocab-qwen2.gguf")
    parser.add_argument("--models", type=Path, help="where the shaped models are or go")
    parser.add_argument("--out", type=Path, default=Path("gpu.json"), help="the rows, as JSON")
    parser.add_argument("--transcripts", type=Path, help="folder of QVQ's published cases")
    parser.add_argument("--seconds", type=float, default=330.0, help="for all of it")
    parser.add_argument("--longest", type=float, default=75.0, help="seconds for any one run")
    parser.add_argument("--n-gpu-layers", default="auto", help="0 to try this on the CPU")
    parser.add_argument("--small-picture", action="store_true", help="of 150 tokens; for a CPU")
    parser.add_argument(
        "--shapes",
        type=lambda typed: [name for name in typed.split(",") if name],
        default=["72b", "7b"],
        help=f"of {', '.join(SHAPES)}, after nano",
    )
    return parser.parse_args()


@contextmanager
def _writing(
    shapes: Sequence[str], vocab: Path, models: Path
) -> Iterator[dict[str, "subprocess.Popen[str]"]]:
    """Programs that write the shaped models meanwhile, where they aren't there yet, by name."""
    writers = {}
    for shape in shapes:
        command = [sys.executable, str(HERE / "shaped.py"), shape]
        command += ["--vocab", str(vocab), "--into", str(models)]
        pipe = subprocess.PIPE
        writers[_name(shape)] = subprocess.Popen(command, stdout=pipe, stderr=pipe, text=True)
    try:
        yield writers
    finally:
        for writer in writers.values():
            writer.kill()
            writer.communicate()


def _give_time(writers: Iterable["subprocess.Popen[str]"], seconds: float) -> None:
    """Wait for all of them, but no longer than this."""
    end_s = time.monotonic() + seconds
    with suppress(subprocess.TimeoutExpired):
        for writer in writers:
            writer.wait(max(0.0, end_s - time.monotonic()))


def _written(writer: "subprocess.Popen[str]") -> Values:
    stdout, stderr = writer.communicate(timeout=WRITING_S)
    if writer.returncode != 0:
        raise SystemExit(stderr)
    n_bytes = sum(Path(line).stat().st_size for line in stdout.splitlines())
    return {"shown": f"{n_bytes / GB:.1f} GB", "bytes": n_bytes}


def _name(shape: str) -> str:
    return f"shaped {shape}"


def _subjects(options: argparse.Namespace, models: Path, folder: Path) -> Iterator[Subject]:
    """Args: folder: for a larger picture than the repository has."""
    threads, max_thinking = NANO.threads, NANO.max_thinking
    yield Subject("nano", NANO.pair, PICTURE, IMAGE_TOKENS, threads, max_thinking, *NANO_RUNS)
    picture, n_image = PICTURE, IMAGE_TOKENS
    if not options.small_picture:
        picture, n_image = folder / "large.png", LARGE_IMAGE_TOKENS
        with Image.open(PICTURE) as small:
            small.resize(LARGE_PX).save(picture)
    threads = psutil.cpu_count(logical=False) or 1
    for shape in options.shapes:
        pair, runs = shaped_pair(shape, models), RUNS[shape]
        yield Subject(_name(shape), pair, picture, n_image, threads, MAX_THINKING, *runs)


# rows that are not of one model's runs


def _bandwidth(tools: Tools) -> Values:
    """In a program of its own, which gives the GPU's memory back."""
    rate = float(run([sys.executable, str(HERE / "gpu_memory.py")], tools.longest_s).stdout)
    return {"shown": f"a copy moves {rate / GB:,.0f} GB/s", "bytes_per_s": rate}


def _doctor(tools: Tools) -> Values:
    found = json.loads(run(qvq("doctor", "--offline", "--json"), tools.longest_s).stdout)
    return {"shown": "a solve works", "report": found}


def _own_drafts(tools: Tools) -> Values:
    """Nano with drafts and without, in one program: speed, and whether the text stays the same."""
    n_layers = "-1" if tools.n_gpu_layers == "auto" else tools.n_gpu_layers
    command = [sys.executable, str(HERE / "drafting.py"), "nano", n_layers]
    found: Values = json.loads(run(command, tools.longest_s).stdout)
    drafts, recalled, forced = (found[kind] for kind in ("drafts", "recalled", "forced"))
    return {
        "shown": f"{drafts['gain']:.2f}x, asked again {recalled['gain']:.2f}x; other text in "
        f"{drafts['differ']} and {recalled['differ']} of {found['runs']} runs, with drafts behind "
        f"every match in {forced['differ']} ({forced['drafted']:,} tokens drafted, "
        f"{forced['accepted']:,} right), without drafts again in {found['plain_differ']}",
        **found,
    }


def _transcript_drafts(rows: Rows, options: argparse.Namespace) -> Values:
    """What drafts would gain on QVQ's published reasoning with this model's batches."""
    if options.transcripts is None:
        raise MissingError("--transcripts was not given")
    batches = needed(rows.found.bench, "report")["batches"]
    seconds = {each["tokens"]: each["seconds"] for each in batches}
    command = [sys.executable, str(HERE / "drafting.py"), "gain", str(options.transcripts)]
    command += [str(options.vocab), *(str(seconds[size]) for size in BATCHES)]
    found: Values = json.loads(run(command, rows.tools.longest_s).stdout)
    each = ", ".join(f"{gain:.2f}" for gain in found["gains"])
    return {
        "shown": f"{found['gain']:.2f}x ({each}; {found['tokens_per_pass']:.2f} tokens a pass)",
        "calculated": True,
        **found,
    }


if __name__ == "__main__":
    main()
