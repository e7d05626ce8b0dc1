"""Which process computes where: devices, threads, and how processes share a GPU.

NVIDIA's Multi-Process Service runs kernels of several processes on a GPU at the same time. Without
it processes take turns: a GPU runs the kernels of one of them at a time, however small
they are. The service's daemon is started for the runs of one study, in a folder of its own, which
no other process looks into, and ended with them. (NVIDIA, Multi-Process Service, sections 2.1, 4.)
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from contextlib import suppress
from pathlib import Path

CONTROL = "nvidia-cuda-mps-control"
PIPES = "CUDA_MPS_PIPE_DIRECTORY"
USUAL_PIPES = Path("/tmp/nvidia-mps")
"""Where a daemon for the whole machine has its pipes; processes find that one by themselves."""
SECONDS = 30


def devices_of(device: str) -> tuple[str, ...]:
    """The devices that a name stands for, each of which gets processes in turn.

    "cuda" is every GPU that this process sees, "cuda:1" that one alone.
    """
    if device != "cuda":
        return (device,)
    import torch

    return tuple(f"cuda:{number}" for number in range(torch.cuda.device_count())) or (device,)


def threads_of(device: str, cores: int, processes: int) -> int:
    """Threads of the CPU for each of so many processes."""
    share = max(1, cores // processes)
    return share if device == "cpu" else min(4, share)


class MultiProcessService:
    """A running daemon; processes with its `environment` share a GPU through it."""

    def __init__(self, folder: Path) -> None:
        """Start it, with pipes and logs in the folder; raises OSError or SubprocessError."""
        self._folder = folder
        self.environment = {PIPES: str(folder), "CUDA_MPS_LOG_DIRECTORY": str(folder)}
        self._control("-d")

    def _control(self, *arguments: str, commands: str | None = None) -> None:
        subprocess.run(
            [CONTROL, *arguments],
            input=commands,
            stdin=subprocess.DEVNULL if commands is None else None,
            stdout=subprocess.DEVNULL,  # a pipe would be kept open by the daemon
            stderr=subprocess.DEVNULL,
            text=True,
            check=True,
            timeout=SECONDS,
            env={**os.environ, **self.environment},
        )

    def end(self) -> None:
        """Ask it to go; its folder goes too."""
        with suppress(OSError, subprocess.SubprocessError):
            self._control(commands="quit\n")
        shutil.rmtree(self._folder, ignore_errors=True)


def start_service(device: str) -> MultiProcessService | None:
    """A service for processes on this device.

    None where there is nothing to share, no such program, one that does not start, a daemon that is
    there already (it serves by itself), and with NORMLAB_MPS=0 in the environment.
    """
    unwanted = os.environ.get("NORMLAB_MPS") == "0"
    there = PIPES in os.environ or USUAL_PIPES.exists()
    if not device.startswith("cuda") or unwanted or there or shutil.which(CONTROL) is None:
        return None
    folder = Path(tempfile.mkdtemp(prefix="normlab-mps-"))
    try:
        return MultiProcessService(folder)
    except (OSError, subprocess.SubprocessError):
        shutil.rmtree(folder, ignore_errors=True)
        return None
