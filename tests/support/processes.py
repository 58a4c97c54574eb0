"""What the tests ask of servers that they start, and of what these start."""
import os
import re
import signal
import time


def wait_until(condition, what, folder, seconds=60):
    """For a server to come up; if it does not, its logs in the folder say why."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise RuntimeError(f"{what} did not come up\n{ends_of_logs(folder)}")
        time.sleep(0.1)


def ends_of_logs(folder, lines=10):
    text = ""
    for name in sorted(os.listdir(folder)):
        if name.endswith(".log"):
            with open(os.path.join(folder, name), errors="replace") as log:
                text += f"{name}:\n" + "".join(log.readlines()[-lines:])
    return text


def read_process(pid, name):
    """A file of a process in /proc; empty when it is gone."""
    try:
        with open(f"/proc/{pid}/{name}", errors="replace") as file:
            return file.read()
    except OSError:
        return ""


def parent_of(pid):
    """0 when the process is gone."""
    line = re.search(r"^PPid:\t(\d+)", read_process(pid, "status"), re.M)
    return int(line[1]) if line else 0


def processes_with(settings):
    """Other processes that have all of these lines in their environment."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and settings <= set(read_process(pid, "environ").split("\0"))]


def kill_all_with(settings, seconds=10):
    """Until none is left: what starts another may have done so in the moment of its end."""
    deadline = time.monotonic() + seconds
    while (pids := processes_with(settings)) and time.monotonic() < deadline:
        for pid in pids:
            kill_if_there(pid)
        time.sleep(0.05)


def kill_if_there(pid):
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass
