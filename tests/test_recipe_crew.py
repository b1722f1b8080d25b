# ruff: noqa: E402 (what may be missing is asked for first)
"""Processes that train together take the same step; alone nothing is exchanged."""

import socket
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from recipe.crew import Crew

N_CREW = 2


def _member(rank: int, port: int, folder: str) -> None:
    """One process of a crew on the CPU: a model of one weight whose gradient is the rank."""
    import os

    os.environ |= {"RANK": str(rank), "WORLD_SIZE": str(N_CREW), "MASTER_ADDR": "127.0.0.1",
                   "MASTER_PORT": str(port)}  # fmt: skip
    model = torch.nn.Linear(1, 2)
    for weight in model.parameters():
        weight.grad = torch.full_like(weight, float(rank))
    with Crew.join() as crew:
        crew.share_gradients(model)
        found = [w.grad for w in model.parameters()], crew.mean(10.0 * rank), crew.size
    torch.save(found, Path(folder) / f"{rank}.pt")


@pytest.mark.skipif(not torch.distributed.is_available(), reason="torch without distributed")
def test_a_crew_takes_the_mean_of_its_gradients(tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    torch.multiprocessing.spawn(_member, (port, str(tmp_path)), nprocs=N_CREW)
    for rank in range(N_CREW):
        grads, mean, size = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        assert all((grad == 0.5).all() for grad in grads)
        assert (mean, size) == (5.0, N_CREW)


def test_one_alone_keeps_its_gradients() -> None:
    model = torch.nn.Linear(1, 2)
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight)
    with Crew.join() as crew:
        crew.share_gradients(model)
        assert crew.mean(3.0) == 3.0
    assert (crew.rank, crew.size) == (0, 1)
    assert all((w.grad == 1).all() for w in model.parameters())
