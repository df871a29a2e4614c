"""Where things are, how to wait, how to end a process."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TOOLS = Path(sys.executable).parent
# How long something may take that takes a second at rest: these machines are busy.
PATIENCE = 90


def environment(**more):
    """The environment of a tool: it finds the others of its virtual environment."""
    return {**os.environ, "PATH": f"{TOOLS}:{os.environ['PATH']}", "SAM_CLI_TELEMETRY": "0", **more}


def eventually(attempt, patience=PATIENCE):
    """Tries again until `attempt` gives something true; fails with its last answer."""
    deadline = time.monotonic() + patience
    while True:
        found = attempt()
        if found:
            return found
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {patience} s")
        time.sleep(0.3)


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def end(process):
    """Ends a process that was started here."""
    process.terminate()
    try:
        process.wait(30)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(10)
