"""Loss of power at every moment of a sweep: what was not synced may be gone, and names may have outlived contents.

A whole `sweep run`, trainers included, is recorded call by call; from the record the states are made that a disk may be in
after the power went (tests/support/power_loss.py), and from each of them one more `sweep run` must give an undisturbed store's
points without repair, and so must the index that `db rebuild` then makes from the files alone.
POWER_LOSSES is the number of states that each test tries.
"""
import os
import random
import shutil
import subprocess
import sys
import unittest

from harness import SOURCE, SWEEP, SweepTest, tiny_sweep

sys.path.insert(0, os.path.join(SOURCE, "tests/support"))
from power_loss import ContentsAlone, NamesAlone, Nothing, Recording, Some, Zeros, lay_out  # noqa: E402

RECORD_SHIM = os.environ["RECORD_SHIM"]
POWER_LOSSES = int(os.environ.get("POWER_LOSSES", "20"))
CLIP_TRAIN = os.path.join(os.path.dirname(SWEEP), "clip_train")


def choices(generator):
    """The extremes in turn, and chance as often as all of them."""
    while True:
        for extreme in (Nothing, NamesAlone, ContentsAlone, Zeros):
            yield extreme.__name__, extreme()
            yield "Some", Some(generator)


class PowerLossTest(SweepTest):
    def record(self, file):
        """The record of a whole `sweep run` into a new store."""
        recorded = self.path("recorded")
        os.mkdir(recorded)
        log = self.path("log")
        self.sweep("run", file, store=recorded, env={"LD_PRELOAD": RECORD_SHIM, "RECORD_FOLDER": recorded, "RECORD_LOG": log})
        self.expected = self.points(store=recorded)
        self.reference = recorded
        return Recording(log, recorded)

    def check_states(self, file):
        recording = self.record(file)
        generator = random.Random(20221215)
        choose = choices(generator)
        moments = sorted(generator.choices(recording.moments(), k=POWER_LOSSES - 1)) + [len(recording.records)]
        for moment in moments:
            name, choice = next(choose)
            with self.subTest(moment=moment, of=len(recording.records), after=recording.records[moment - 1][0], kept=name):
                store = self.path("after")
                shutil.rmtree(store, ignore_errors=True)
                lay_out(recording.state(moment, choice), store)
                self.check_recovery(file, store)

    def check_recovery(self, file, store):
        self.sweep("run", file, store=store)
        self.assertEqual(self.points(store=store), self.expected)
        self.sweep("db", "check", store=store)
        self.sweep("db", "rebuild", store=store)
        self.assertEqual(self.points(store=store), self.expected, "after a rebuild from the files")


class SweepPowerLossTest(PowerLossTest):
    def test_a_sweep_goes_on_after_a_loss_of_power(self):
        """Three runs, one of which goes on from another."""
        self.check_states(self.write_sweep(tiny_sweep(
            grid={"model": ["w32"], "samples_seen": [1024, 4096]},
            include=[{"model": "w32", "samples_seen": 2048, "start": {"from": {"samples_seen": 1024}}}])))

    def test_the_record_explains_the_whole_store(self):
        """What the record says reached the disk in the end is what lies there: nothing is missed by it."""
        recording = self.record(self.write_sweep(tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024]})))
        laid = self.path("laid")

        class All:
            def keeps_name(self, parts): return True
            def kept_writes(self, pending): return pending
        lay_out(recording.state(len(recording.records), All()), laid)
        differences = subprocess.run(["diff", "-r", "-x", "sweep.db-*", self.reference, laid], capture_output=True, text=True).stdout
        self.assertEqual(differences, "")


@unittest.skipUnless(os.path.exists(CLIP_TRAIN), "clip_train was not built")
class TrainerPowerLossTest(PowerLossTest):
    def test_training_goes_on_after_a_loss_of_power(self):
        """A run of clip_train with checkpoints on the way ends with the points of an undisturbed one."""
        self.check_states(self.write_sweep({
            "version": 1,
            "name": "power",
            "grid": {"model": ["scenes-xs"], "samples_seen": [4096]},
            "fixed": {"dataset": "fashion_scenes", "global_batch_size": 128, "learning_rate": 0.002},
            "evaluations": [{"name": "items", "extends": "fashion_items", "size": 200}],
            "executor": {"kind": "local", "threads_per_run": 1},
            "trainer": {"checkpoint_every_seconds": 0.1},
        }))


if __name__ == "__main__":
    unittest.main()
