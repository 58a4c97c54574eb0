"""Kills `sweep` where it hurts and compares the store with an undisturbed run's.

At every durable act (fsync, fdatasync, rename, link, unlink: counted by the preloaded tests/support/crash_at.c) and at
random moments. Invariant: no completed run lost, none done twice, no manual repair, integrity ok, the same points.
CRASH_EVERY=k takes every k-th act only: the short form for continuous integration.
"""
import os
import random
import signal
import subprocess
import time
import unittest

from harness import SweepTest, tiny_sweep

CRASH_LIBRARY = os.environ["CRASH_LIBRARY"]
CRASH_EVERY = int(os.environ.get("CRASH_EVERY", "1"))
RANDOM_KILLS = int(os.environ.get("RANDOM_KILLS", "300"))


def small_sweep():
    return tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024, 4096]},
                      include=[{"model": "w32", "samples_seen": 2048, "start": {"from": {"samples_seen": 1024}}}])


class CrashTest(SweepTest):
    def setUp(self):
        super().setUp()
        self.file = self.write_sweep(small_sweep())
        self.reference = self.path("reference")
        self.sweep("run", self.file, store=self.reference)
        self.expected = self.points(store=self.reference)

    def check_store_after_recovery(self, store):
        completed_before = self.completed_runs(store)
        self.sweep("run", self.file, store=store)
        self.assertEqual(self.points(store=store), self.expected)
        self.sweep("db", "check", store=store)
        # A run whose result was published before the crash is never trained again.
        for run in completed_before:
            attempts = os.listdir(os.path.join(store, "runs", run, "attempts"))
            self.assertEqual(attempts, completed_before[run], "a finished run was started again")

    def completed_runs(self, store):
        runs = os.path.join(store, "runs")
        if not os.path.isdir(runs):
            return {}
        return {run: os.listdir(os.path.join(runs, run, "attempts")) for run in os.listdir(runs)
                if self.wholly_done(os.path.join(runs, run))}

    @staticmethod
    def wholly_done(run):
        evaluations = os.path.join(run, "evaluations")
        return (os.path.exists(os.path.join(run, "result.json")) and os.path.isdir(evaluations)
                and sum(name.endswith(".json") for name in os.listdir(evaluations)) == 2)

    def test_killed_at_every_durable_act(self):
        act, killed = 1, 0
        while True:
            store = self.path(f"store-{act}")
            done = subprocess.run(self.command("run", self.file, store=store), capture_output=True,
                                  env={**os.environ, "LD_PRELOAD": CRASH_LIBRARY, "CRASH_AT": str(act)}, timeout=120)
            if done.returncode == 0:
                break
            self.assertEqual(done.returncode, -signal.SIGKILL, done.stderr.decode())
            killed += 1
            with self.subTest(act=act):
                self.check_store_after_recovery(store)
            act += CRASH_EVERY
        self.assertGreater(killed, 10 // CRASH_EVERY)

    def test_killed_at_random_moments(self):
        generator = random.Random(20220314)
        store = self.path("random")
        slow = {**os.environ, "TINY_TRAINER_STEP_SECONDS": "0.01"}
        for kill in range(RANDOM_KILLS):
            process = subprocess.Popen(self.command("run", self.file, store=store), env=slow,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(generator.uniform(0, 0.4))
            process.kill()
            process.wait()
            if kill % 10 == 9:
                self.check_store_after_recovery(store)
                store = self.path(f"random-{kill}")


if __name__ == "__main__":
    unittest.main()
