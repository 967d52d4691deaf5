"""Full disks, limits of file size, and signals: one line, at once, and nothing half-made."""

import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from derm_ml.data.cache.arrays import room
from derm_ml.data.threads import in_order
from derm_ml.errors import UserError

COMMAND = [sys.executable, "-m", "derm_ml", "data", "check", "synthetic:n=400,size=64"]


def check(cache: Path, **options) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DERM_ML_CACHE": str(cache)}
    return subprocess.run(COMMAND, env=environment, capture_output=True, text=True, timeout=240, **options)


def one_line(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 2, done.stderr
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith("Decoding")]
    assert len(lines) == 1, done.stderr
    assert all(word in lines[0] for word in words), lines[0]


def test_a_full_disk_is_one_line(tmp_path: Path):
    """On a real one: a file system of 1 MB in a mount name space of its own."""
    unshare = shutil.which("unshare")
    mount = ["sh", "-c", f"mount -t tmpfs -o size=1m none {tmp_path} && exec {' '.join(COMMAND)}"]
    tried = unshare and subprocess.run([unshare, "-m", "sh", "-c", f"mount -t tmpfs none {tmp_path}"], check=False)
    if not tried or tried.returncode:
        pytest.skip("a mount name space needs root and unshare")
    environment = os.environ | {"DERM_ML_CACHE": str(tmp_path)}
    done = subprocess.run(
        [unshare, "-m", *mount], env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    one_line(done, "does not fit", "bytes are needed", "1,0", str(tmp_path), "No space left", "DERM_ML_CACHE")


def test_a_limit_of_file_size_is_one_line(tmp_path: Path):
    done = check(tmp_path, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000)))
    one_line(done, "does not fit", "File too large", "DERM_ML_CACHE")
    assert not list(tmp_path.glob("images/.building-*"))


def test_a_quota_is_one_line_and_other_errors_are_not_taken_for_it(tmp_path: Path):
    with pytest.raises(UserError, match=r"5,000 bytes are needed"), room(tmp_path / "x", 5000):
        (tmp_path / "x").mkdir()
        raise OSError(errno.EDQUOT, "quota")
    with pytest.raises(PermissionError), room(tmp_path, 5):
        raise PermissionError(errno.EACCES, "no")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_decoding_at_once_and_leaves_no_half_cache(tmp_path: Path, number):
    program = textwrap.dedent(
        """
        import sys, time
        from derm_ml.data.cache import making
        slow = making.decode_image
        def decode_image(content, sizes, whole=128):
            print("decoding", flush=True)
            time.sleep(0.3)
            return slow(content, sizes, whole)
        making.decode_image = decode_image
        from derm_ml.cli import main
        sys.exit(main(["data", "check", "synthetic:n=4000,size=64"]))
        """
    )
    environment = os.environ | {"DERM_ML_CACHE": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", program], env=environment, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline()
        started = time.monotonic()
        process.send_signal(number)
        process.stdout.read()
        assert process.wait(timeout=60) == 130
    assert time.monotonic() - started < 10, "4,000 images would take minutes"
    assert [path.name for path in (tmp_path / "images").iterdir() if not path.name.startswith(".lock")] == []


def test_results_come_in_order_few_ahead_and_stopping_drops_the_queue():
    gate, done = threading.Event(), []

    def slow(number: int) -> int:
        if number >= 100:
            gate.wait(30)
        done.append(number)
        return number

    results = in_order(slow, range(10_000))
    assert [next(results) for _ in range(100)] == list(range(100))
    results.close()
    gate.set()
    time.sleep(0.2)
    workers = min(16, os.cpu_count() or 1)
    assert len(done) <= 100 + workers, "what ran ends, what waited does not begin"
    assert list(in_order(np.sqrt, [])) == []
