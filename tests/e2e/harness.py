"""What the end-to-end tests share: a folder with a sweep file for the tiny trainer, and `sweep` as a user calls it."""
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import unittest

SWEEP = os.environ["SWEEP_PROGRAM"]
SOURCE = os.environ["SWEEP_SOURCE_DIR"]
TINY_TRAINER = [sys.executable, os.path.join(SOURCE, "tests/support/tiny_trainer.py")]


def tiny_model(width):
    return {"embed_dim": width,
            "vision": {"image_size": 28, "patch_size": 7, "width": width, "layers": 2, "head_width": 32},
            "text": {"context_length": 16, "vocab_size": 64, "width": width, "heads": 1, "layers": 2}}


def tiny_sweep(**changes):
    """Six runs of two models by a trainer that trains nothing."""
    sweep = {
        "version": 1,
        "name": "tiny",
        "models": {f"w{width}": tiny_model(width) for width in (32, 64)},
        "grid": {"model": ["w32", "w64"], "samples_seen": [1024, 4096, 16384]},
        "fixed": {"dataset": "fashion_scenes", "global_batch_size": 128, "learning_rate": 0.001},
        "evaluations": ["fashion_items", "fashion_retrieval"],
        "executor": {"kind": "local", "slots": 2},
        "trainer": {"command": TINY_TRAINER},
    }
    sweep.update(changes)
    return sweep


class SweepTest(unittest.TestCase):
    TIMEOUT = 600  # seconds, of one command

    def setUp(self):
        self.folder = tempfile.mkdtemp(prefix="sweep-e2e-")
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.store = self.path("store")
        os.environ["XDG_CONFIG_HOME"] = self.path("config")  # not that of whoever runs the tests

    def path(self, name):
        return os.path.join(self.folder, name)

    def write_sweep(self, sweep, name="sweep.json"):
        with open(self.path(name), "w") as out:
            json.dump(sweep, out, indent=1)
        return self.path(name)

    def command(self, *arguments, store=None):
        return [SWEEP, *arguments, "--store", store or self.store]

    def sweep(self, *arguments, expect=0, store=None, env=None):
        """Runs `sweep`, checks its exit code, returns what it printed on stdout."""
        done = subprocess.run(self.command(*arguments, store=store), capture_output=True, text=True,
                              env={**os.environ, **(env or {})}, timeout=self.TIMEOUT)
        self.last_stderr = done.stderr
        self.assertEqual(done.returncode, expect, f"{arguments}\n{done.stdout}\n{done.stderr}")
        return done.stdout

    def sweep_json(self, *arguments, **options):
        return json.loads(self.sweep(*arguments, "--json", **options))

    def wait_until(self, condition, seconds=60):
        """A condition another process brings about; a test that waits in vain fails instead of hanging."""
        deadline = time.monotonic() + seconds
        while not condition():
            self.assertLess(time.monotonic(), deadline, "waited in vain")
            time.sleep(0.01)

    def program_first_on_path(self, name, script):
        """The environment in which a program of that name lies before the true one."""
        folder = self.path("bin")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, name), "w") as out:
            out.write("#!/bin/bash\n" + script)
        os.chmod(os.path.join(folder, name), 0o755)
        return {"PATH": folder + ":" + os.environ["PATH"]}

    def has_started(self):
        """Has a `sweep run` begun with the first run of the store?"""
        runs = os.path.join(self.store, "runs")
        return os.path.isdir(runs) and os.listdir(runs) != []

    def points(self, store=None):
        """The store's points without the order of rows: what an undisturbed run would have given too."""
        lines = self.sweep("export", "points", "--format", "jsonl", store=store).splitlines()
        return sorted(lines)
