"""Trainers that lie, each in a way of its own that its seed chooses (tests/support/lying_trainer.py).

Invariant, compared with an undisturbed store: all other runs complete with their points, what the store has of the liar's
run is right or missing, the exit code says which, and once the trainer is mended one more `sweep run --retry-failed` gives
the undisturbed points. LYING_TRAINERS says how many.
"""
import json
import os
import subprocess
import sys
import unittest

from harness import SOURCE, SweepTest, tiny_sweep

LYING_TRAINERS = int(os.environ.get("LYING_TRAINERS", "200"))
FIRST_SEED = int(os.environ.get("LYING_TRAINERS_FIRST", "1"))
LYING_TRAINER = os.path.join(SOURCE, "tests/support/lying_trainer.py")


class LyingTrainersTest(SweepTest):
    TIMEOUT = 60

    def file_of(self, seed):
        sweep = tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024, 2048, 4096]})
        sweep["executor"]["max_attempts"] = 1
        sweep["trainer"] = {"command": [sys.executable, LYING_TRAINER, str(seed), self.path(f"truth-{seed}")]}
        return self.write_sweep(sweep, f"sweep-{seed}.json")

    def run_anyhow(self, *arguments, store):
        done = subprocess.run(self.command(*arguments, store=store), capture_output=True, text=True,
                              errors="replace", timeout=self.TIMEOUT)
        self.assertNotIn("internal error", done.stderr)
        return done

    def liars_part(self, points):
        return {line for line in points if json.loads(line)["samples_seen"] == 4096}

    def check_liar(self, seed, expected):
        store, file = self.path(f"store-{seed}"), self.file_of(seed)
        ran = self.run_anyhow("run", file, "--json", store=store)
        self.assertIn(ran.returncode, (0, 3), ran.stderr)
        report = json.loads(ran.stdout)
        points = set(self.points(store=store))
        self.assertEqual(points - self.liars_part(points), expected - self.liars_part(expected), ran.stderr)
        self.assertLessEqual(self.liars_part(points), expected, "a lie was taken in")
        if ran.returncode == 0 and report["diverged"] == 0:
            self.assertEqual(points, expected, "points are missing, and nobody said so")
        self.check_readers(file, store, points)
        with open(self.path(f"truth-{seed}"), "w"):
            pass
        self.sweep("run", "--retry-failed", file, store=store)
        self.assertEqual(set(self.points(store=store)), expected)
        # What a liar left beside its true files may stay there, and is told.
        checked = self.run_anyhow("db", "check", store=store)
        self.assertIn(checked.returncode, (0, 7), checked.stderr)
        self.assertIn("sweep.db: ok", checked.stdout + checked.stderr)

    def check_readers(self, file, store, points):
        run = json.loads(self.sweep("status", "--json", store=store))["sweeps"][0]["runs"][-1]["run_id"]
        for arguments in (["status"], ["explain", run], ["export", "steps"], ["plan", file], ["gc"]):
            done = self.run_anyhow(*arguments, store=store)
            self.assertEqual(done.returncode, 0, (arguments, done.stderr))
        self.run_anyhow("logs", run, store=store)
        self.sweep("db", "rebuild", store=store)
        self.assertLessEqual(set(self.points(store=store)), points)

    def test_a_liar_harms_its_own_run_alone(self):
        truth = self.write_sweep(tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024, 2048, 4096]}), "truth.json")
        self.sweep("run", truth, store=self.path("truth"))
        expected = set(self.points(store=self.path("truth")))
        for seed in range(FIRST_SEED, FIRST_SEED + LYING_TRAINERS):
            with self.subTest(seed=seed):
                self.check_liar(seed, expected)


if __name__ == "__main__":
    unittest.main()
