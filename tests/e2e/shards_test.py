"""From pictures to shards to a trained and evaluated run; skipped where clip_train or the data package is missing."""
import json
import os
import re
import signal
import struct
import subprocess
import unittest
import zlib

from harness import SweepTest, SWEEP

CLIP_TRAIN = os.path.join(os.path.dirname(SWEEP), "clip_train")
FASHION = "/usr/share/datasets/fashion-mnist"
PAIRS = 600


def write_noise_png(path, side):
    """A colour picture of noise: nothing a decoder could do quickly."""
    rows = b"".join(b"\0" + os.urandom(3 * side) for _ in range(side))
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    with open(path, "wb") as out:
        out.write(b"\x89PNG\r\n\x1a\n")
        for name, content in ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 1)), (b"IEND", b"")):
            out.write(struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(name + content)))


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

    def only_run(self, store=None):
        runs = os.path.join(store or self.store, "runs")
        return os.path.join(runs, os.listdir(runs)[0])

    def events(self, store=None):
        with open(os.path.join(self.only_run(store), "attempts/1/events.jsonl")) as lines:
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

    def test_a_model_that_waits_for_its_data_says_so(self):
        """Pictures of two million pixels for a model of milliseconds."""
        folder = self.path("large")
        os.makedirs(folder)
        for i in range(4):
            write_noise_png(os.path.join(folder, f"{i}.png"), 1400)
            with open(os.path.join(folder, f"{i}.txt"), "w") as caption:
                caption.write("a bag")
        made = subprocess.run([CLIP_TRAIN, "make_shards", "--folder", folder, self.path("shards")], capture_output=True,
                              text=True, check=True)
        dataset = {**json.loads(made.stdout), "tokenizer": {"kind": "word", "file": "vocabularies/fashion_scenes.json"}}
        sweep = self.sweep_of(dataset)
        sweep["fixed"].update(data_scale=4, global_batch_size=4, samples_seen=400)
        sweep["evaluations"] = []
        sweep["trainer"]["checkpoint_every_seconds"] = 1000
        self.sweep("run", self.write_sweep(sweep))
        (slow,) = [event for event in self.events() if event["type"] == "slow_data"]
        self.assertGreater(slow["data_wait"], 0.05)
        self.assertEqual(slow["data_threads"], 1)
        with open(os.path.join(self.only_run(), "attempts/1/stderr.log")) as log:
            self.assertIn("raise trainer.data_threads", log.read())

    def test_mistakes_are_named_with_their_place(self):
        sweep = self.sweep_of(self.make_shards())
        sweep["datasets"]["pictures"]["options"] = {"weights": [1, 2]}
        file = self.write_sweep(sweep)
        self.sweep("validate", file, expect=2)
        self.assertIn("/datasets/pictures/options", self.last_stderr)
        self.assertIn("none unless resampled is true", self.last_stderr)


if __name__ == "__main__":
    unittest.main()
