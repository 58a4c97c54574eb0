"""From pictures to shards to a trained and evaluated run; skipped where clip_train or the data package is missing."""
import json
import os
import re
import signal
import subprocess
import unittest

from harness import SweepTest, SWEEP

CLIP_TRAIN = os.path.join(os.path.dirname(SWEEP), "clip_train")
FASHION = "/usr/share/datasets/fashion-mnist"
PAIRS = 600


@unittest.skipUnless(os.path.exists(CLIP_TRAIN), "clip_train was not built")
@unittest.skipUnless(os.path.exists(FASHION), "dataset-fashion-mnist is not installed")
class ShardsTest(SweepTest):
    def make_shards(self):
        made = subprocess.run([CLIP_TRAIN, "make_shards", "--fashion-scenes", FASHION, "--count", str(PAIRS), "--per-shard",
                               "250", self.path("shards")], capture_output=True, text=True, check=True)
        return {**json.loads(made.stdout), "tokenizer": {"kind": "word", "file": "vocabularies/fashion_scenes.json"}}

    def sweep_of(self, dataset, **trainer):
        """One run of 20 steps on half of the pairs, found again among all of them."""
        retrieval = {key: dataset[key] for key in ("kind", "content", "location")}
        return {
            "version": 1,
            "name": "shards",
            "datasets": {"pictures": dataset},
            "fixed": {"model": "scenes-xs", "dataset": "pictures", "data_scale": PAIRS // 2, "samples_seen": 128 * 20,
                      "global_batch_size": 128, "learning_rate": 0.002},
            "evaluations": [{"name": "found", "task": "zeroshot_retrieval", **retrieval, "size": 200,
                             "options": {"captions_per_image": 1}},
                            {"name": "items", "extends": "fashion_items", "size": 500}],
            "trainer": {"checkpoint_every_seconds": 0.01, **trainer},
        }

    def events(self, store=None):
        runs = os.path.join(store or self.store, "runs")
        path = os.path.join(runs, os.listdir(runs)[0], "attempts/1/events.jsonl")
        with open(path) as lines:
            return [json.loads(line) for line in lines]

    def test_pictures_become_shards_and_a_run(self):
        file = self.write_sweep(self.sweep_of(self.make_shards()))
        self.assertEqual(self.sweep_json("run", file)["completed"], 1)
        rows = [json.loads(row) for row in self.points()]
        self.assertEqual({row["eval_dataset"] for row in rows}, {"found", "items"})
        losses = [event["loss"] for event in self.events() if event["type"] == "step"]
        self.assertLess(losses[-1], losses[0])

    def test_decoding_threads_and_a_kill_change_no_result(self):
        dataset = self.make_shards()
        undisturbed = self.path("undisturbed")
        self.sweep("run", self.write_sweep(self.sweep_of(dataset)), store=undisturbed)
        file = self.write_sweep(self.sweep_of(dataset, data_threads=3), "threads.json")
        process = subprocess.Popen(self.command("run", file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.kill(self.pid_of_trainer_with_a_checkpoint(), signal.SIGKILL)
        self.assertEqual(process.wait(120), 0)
        self.assertEqual(self.points(), self.points(store=undisturbed))

    def pid_of_trainer_with_a_checkpoint(self):
        def started():
            try:
                events = self.events()
            except (OSError, IndexError, ValueError):
                return False
            return any(event["type"] == "checkpoint" for event in events)

        self.wait_until(started)
        return next(event["pid"] for event in self.events() if event["type"] == "started")

    def test_a_damaged_picture_is_named_and_replaced(self):
        shards = self.path("pictures")
        dataset = self.make_shards()
        first = os.path.join(self.path("shards"), "00000.tar")
        with open(first, "r+b") as shard:
            content = shard.read()
            shard.seek(next(re.finditer(b"\x89PNG", content)).start())
            shard.write(b"nothing")
        index = subprocess.run([CLIP_TRAIN, "index_shards", shards, first], capture_output=True, text=True, check=True)
        dataset = {**dataset, **{key: json.loads(index.stdout)[key] for key in ("content", "location", "size")}}
        sweep = self.sweep_of(dataset)
        sweep["fixed"]["data_scale"] = 250
        sweep["evaluations"] = []
        self.assertEqual(self.sweep_json("run", self.write_sweep(sweep))["completed"], 1)
        unusable = [event for event in self.events() if event["type"] == "unusable_pair"]
        self.assertEqual(len(unusable), 1)
        self.assertIn("00000.tar: 000000000.png", unusable[0]["name"])

    def test_mistakes_are_named_with_their_place(self):
        sweep = self.sweep_of(self.make_shards())
        sweep["datasets"]["pictures"]["options"] = {"weights": [1, 2]}
        file = self.write_sweep(sweep)
        self.sweep("validate", file, expect=2)
        self.assertIn("/datasets/pictures/options", self.last_stderr)
        self.assertIn("none unless resampled is true", self.last_stderr)


if __name__ == "__main__":
    unittest.main()
