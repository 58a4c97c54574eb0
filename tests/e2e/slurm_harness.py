"""What the tests on a real Slurm share: a cluster for all tests of a module, and `sweep` on it."""
import os
import subprocess
import sys
import unittest

from harness import SOURCE, SweepTest, tiny_sweep

sys.path.insert(0, os.path.join(SOURCE, "tests/support"))
import slurm_cluster

SLOW = {"TINY_TRAINER_STEP_SECONDS": "1"}


def start_cluster(**options):
    """For setUpModule: the cluster of ClusterTest, until the module's tests have ended."""
    missing = slurm_cluster.what_is_missing(accounts=options.get("accounts", False))
    if missing:
        raise unittest.SkipTest(missing)
    ClusterTest.cluster = slurm_cluster.SlurmCluster(**options)
    unittest.addModuleCleanup(ClusterTest.cluster.stop)


def slurm_sweep(executor=None, **changes):
    return tiny_sweep(executor={"kind": "slurm", "poll_every": 1, "answer_timeout": 5, **(executor or {})}, **changes)


class ClusterTest(SweepTest):
    TIMEOUT = 120
    cluster = None  # from start_cluster

    def start_sweep(self, file, env=None):
        with open(self.path("stderr"), "w") as log:
            process = subprocess.Popen(self.command("run", file), env={**os.environ, **(env or {})},
                                       stdout=subprocess.DEVNULL, stderr=log)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def tearDown(self):
        super().tearDown()
        self.cluster.clear()

    def jobs(self):
        """Slurm's jobs of this test's sweep."""
        folder = os.path.join(self.store, "submissions")
        tokens = os.listdir(folder) if os.path.isdir(folder) else []
        return [job for job in self.cluster.jobs() if job[0] in tokens]

    def log(self):
        with open(self.path("stderr")) as file:
            return file.read()

    def states(self):
        return self.sweep_json("status")["sweeps"][0]["runs_by_state"]

    def attempts(self):
        return [run["attempts"] for run in self.sweep_json("status")["sweeps"][0]["runs"]]

    def submissions(self):
        return os.listdir(os.path.join(self.store, "submissions"))

    def tasks(self):
        """Runs in the order of their tasks."""
        (submission,) = self.submissions()
        with open(os.path.join(self.store, "submissions", submission, "tasks")) as lines:
            return [os.path.basename(line.split("\t")[0]) for line in lines]

    def assert_same_as_a_local_run(self):
        local = self.path("local")
        self.sweep("run", self.write_sweep(tiny_sweep(), "local.json"), store=local)
        self.assertEqual(self.points(), self.points(store=local))
        self.assertEqual(self.sweep("db", "check").strip().splitlines()[-1].endswith("ok"), True)
