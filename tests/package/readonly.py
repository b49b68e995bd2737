"""A program as process 1, as uid 10001, where nothing can be written: what a pod with a read-only root gives it.

Namespaces of util-linux's unshare, one of users around it, so that no rights are needed: every mount is read-only, also
/tmp. /proc, /sys and /dev stay as they are, the network is the host's.
"""

from __future__ import annotations

import subprocess
import time
from functools import cache
from pathlib import Path

UID = 10001
# Remounting keeps the flags that a mount came with; without rights they must not be dropped.
READ_ONLY = r"""
while read -r _ _ _ _ where flags _; do
    case $where in /proc|/proc/*|/sys|/sys/*|/dev|/dev/*) continue ;; esac
    kept=$(echo "$flags" | grep -oE 'nosuid|nodev|noexec|noatime|relatime|nodiratime' | paste -sd,)
    mount -o "remount,bind,ro${kept:+,$kept}" "$where" || { echo "$where cannot be made read-only" >&2; exit 125; }
done </proc/self/mountinfo
cd /
exec unshare --user --map-user={uid} --map-group={uid} -- "$@"
"""


def command(*words: str | Path) -> list[str]:
    """What to start instead of ``words``. It ends with them, and they with it."""
    outer = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child", "--"]
    return [*outer, "bash", "-c", READ_ONLY.replace("{uid}", str(UID)), "read-only", *map(str, words)]


@cache
def unavailable() -> str | None:
    """Why this machine cannot do it, or None."""
    try:
        done = subprocess.run(command("id", "-u"), capture_output=True, text=True, check=False, timeout=60)
    except OSError as error:
        return f"no unshare: {error}"
    if done.stdout.split() != [str(UID)]:
        return f"no namespaces of users and mounts for everybody: {done.stderr.strip() or done.stdout}"
    return None


def first_process(started: subprocess.Popen[bytes], seconds: float = 20) -> int:
    """The host's number of the process that is number 1 in there, once bash has become what was to be started."""
    children = Path(f"/proc/{started.pid}/task/{started.pid}/children")
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for child in children.read_text().split():
            status = Path(f"/proc/{child}/status").read_text()
            if "\nNSpid:" in status and status.split("\nNSpid:")[1].split("\n")[0].split()[-1] == "1":
                command_line = Path(f"/proc/{child}/cmdline").read_bytes()
                if not command_line.startswith((b"bash", b"unshare")):
                    return int(child)
        time.sleep(0.02)
    raise TimeoutError(f"nothing was started within {seconds} s")
