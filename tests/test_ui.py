"""The UI stops when it is told to, whatever is going on."""

import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from cdp_assets.paths import PROJECT

Cdp = Callable[..., str]
pytestmark = [pytest.mark.long, pytest.mark.xdist_group("upheaval")]


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def started(tmp_path: Path, port: int, cdp: Cdp) -> Iterator[subprocess.Popen[bytes]]:
    """``make ui`` as a terminal starts it, over a folder with files to load."""
    root = tmp_path / "data"
    root.mkdir()
    cdp(root, "sample", "--people", "100")
    for stream in ("crm_contact", "shop_order", "web_event"):
        shutil.copytree(root / "samples" / stream, root / "inbox" / stream)
        for path in list((root / "inbox" / stream).iterdir()):
            path.with_name(f"{path.name}.done").touch()
    process = subprocess.Popen(
        ["make", "--no-print-directory", "ui", f"PORT={port}"],
        cwd=PROJECT,
        env={**os.environ, "CDP_DATA": str(root)},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    yield process
    for left in ours(root):
        left.kill()
    process.wait()


def ours(root: Path) -> list[psutil.Process]:
    """Every living process that works on this runtime folder."""
    found = []
    for process in psutil.process_iter():
        try:
            if (
                process.environ().get("CDP_DATA") == str(root)
                and process.status() != psutil.STATUS_ZOMBIE
            ):
                found.append(process)
        except psutil.Error:
            continue
    return found


def is_running(root: Path) -> bool:
    """Whether a run has begun to work."""
    runs = root / "dagster" / "history" / "runs.db"
    try:
        with sqlite3.connect(f"file:{runs}?mode=ro", uri=True) as store:
            (count,) = store.execute(
                "select count(*) from runs where status = 'STARTED'"
            ).fetchone()
    except sqlite3.Error:
        return False
    finally:
        if "store" in locals():
            store.close()
    return bool(count)


def test_the_ui_stops_in_the_middle_of_a_run(
    started: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    """What is left behind keeps the port, the warehouse and the place for runs."""
    root = tmp_path / "data"
    deadline = time.monotonic() + 240
    while not is_running(root):
        assert started.poll() is None, "the UI ended by itself"
        assert time.monotonic() < deadline, "no run began"
        time.sleep(0.5)
    os.killpg(started.pid, signal.SIGINT)
    started.wait(timeout=45)
    assert not ours(root)
