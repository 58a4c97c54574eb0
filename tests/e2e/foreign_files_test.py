"""What a trainer wrote, a disk damaged or a hand removed in the folders of runs: it concerns its run alone, is told with
file and place, and what is missing is made again."""
import glob
import json
import os
import random
import resource
import shutil
import socket
import subprocess
import sys
import unittest
import zlib

from harness import TINY_TRAINER, SweepTest, tiny_sweep

RUNS = [1024, 4096, 16384]
LIES_FOR = 4096  # samples of the run that is disturbed


def sealed(event):
    body = json.dumps(event)[:-1]
    return f'{body},"crc32":"{zlib.crc32(body.encode()):08x}"}}\n'


class ForeignFilesTest(SweepTest):
    TIMEOUT = 60

    def setUp(self):
        super().setUp()
        self.reference = self.path("reference")
        self.sweep("run", self.file_with(TINY_TRAINER), store=self.reference)
        self.expected = self.points(store=self.reference)

    def file_with(self, command):
        return self.write_sweep(tiny_sweep(grid={"model": ["w32"], "samples_seen": RUNS}, trainer={"command": command},
                                           executor={"kind": "local", "slots": 2, "max_attempts": 1}))

    def spoiling_trainer(self, python):
        """The tiny trainer, which then spoils the disturbed run with a piece of Python while `self.path('spoil')` is there."""
        trainer = self.path("trainer.py")
        with open(trainer, "w") as out:
            out.write(f"""import json, os, runpy, sys
run_dir, attempt = sys.argv[1], sys.argv[2]
runpy.run_path({TINY_TRAINER[1]!r}, run_name="__main__")
result, events = run_dir + "/result.json", f"{{run_dir}}/attempts/{{attempt}}/events.jsonl"
evaluations = sorted(run_dir + "/evaluations/" + name for name in os.listdir(run_dir + "/evaluations"))
if json.load(open(run_dir + "/spec.json"))["spec"]["samples_seen"] == {LIES_FOR} and os.path.exists({self.path('spoil')!r}):
    {python}
""")
        with open(self.path("spoil"), "w"):
            pass
        return self.file_with([sys.executable, trainer])

    def stop_spoiling(self):
        os.unlink(self.path("spoil"))

    def run_of(self, samples, store=None):
        (sweep,) = self.sweep_json("status", store=store)["sweeps"]
        (run,) = [run["run_id"] for run in sweep["runs"] if run["samples_seen"] == samples]
        return run, os.path.join(store or self.store, "runs", run)

    def other_points(self, points):
        return [line for line in points if json.loads(line)["samples_seen"] != LIES_FOR]


class EventsTest(ForeignFilesTest):
    def run_with_events(self, *lines):
        with open(self.path("lines"), "w") as out:
            out.writelines(lines)
        file = self.spoiling_trainer(f"open(events, 'a').write(open({self.path('lines')!r}).read())")
        self.sweep("run", file)
        self.told = self.last_stderr
        self.assertEqual(self.points(), self.expected)
        return file

    def test_a_loss_that_is_not_finite_is_an_ordinary_event(self):
        file = self.run_with_events(
            sealed({"seq": 50, "at": 1.7e9, "type": "step", "step": 9, "samples_seen": 2000, "loss": None, "logit_scale": None}))
        self.assertNotIn("warning", self.told)
        self.sweep("status")
        self.assertEqual(self.sweep_json("run", file)["already_done"], 3)
        run, _ = self.run_of(LIES_FOR)
        steps = [json.loads(line) for line in self.sweep("export", "steps", "--format", "jsonl").splitlines()]
        self.assertIn(None, [step["loss"] for step in steps if step["run_id"] == run])

    def test_a_run_at_work_whose_loss_is_not_finite_is_explained(self):
        trainer = self.path("waits.py")
        with open(trainer, "w") as out:
            out.write(f"import sys, time\nopen(f'{{sys.argv[1]}}/attempts/{{sys.argv[2]}}/events.jsonl', 'w').write("
                      f"{sealed({'seq': 1, 'at': 1.7e9, 'type': 'step', 'step': 1, 'samples_seen': 128, 'loss': None})!r})\n"
                      "time.sleep(60)\n")
        running = subprocess.Popen(self.command("run", self.file_with([sys.executable, trainer])),
                                   stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(running.stderr.close)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        self.wait_until(lambda: self.has_started() and self.sweep("export", "steps").count("\n") == 3)
        run = self.sweep("export", "steps", "--format", "jsonl").split('"run_id":"')[1][:32]
        self.assertIn("loss not finite", self.sweep("explain", run))
        self.assertIsNone(running.poll())

    def test_events_with_a_right_checksum_and_wrong_types_are_told_by_their_place(self):
        wrong = [{"seq": "1", "type": "step"}, {"seq": 60, "type": 7}, {"seq": 61, "type": "step", "loss": "x"},
                 {"seq": 62, "type": "step", "samples_seen": 10 ** 15}, {"seq": 0, "type": "step"},
                 {"seq": 63, "type": "failure", "class": {}}, {"seq": 64, "type": "started", "at": "noon"}]
        for event in wrong:
            with self.subTest(event=event):
                shutil.rmtree(self.store, ignore_errors=True)
                good = sealed({"seq": 70, "at": 1.7e9, "type": "step", "step": 9, "samples_seen": 2000, "loss": 2})
                self.run_with_events(sealed(event), good)
                self.assertRegex(self.told, r"events\.jsonl: the line at byte \d+ was skipped: '\w+' is ")
                self.sweep("db", "rebuild")
                self.assertRegex(self.last_stderr, r"events\.jsonl: the line at byte \d+ was skipped")
                self.assertEqual(len(self.sweep("export", "steps").splitlines()), 1 + 3 * 5 + 1)

    def test_an_event_whose_seq_is_taken_is_told(self):
        self.run_with_events(sealed({"seq": 2, "at": 1.7e9, "type": "step", "loss": 9.9}))
        self.assertIn("an earlier one has the same seq", self.told)

    @unittest.skipIf(os.environ.get("SWEEP_SANITIZE"), "sanitizers take terabytes of addresses")
    def test_huge_events_take_no_memory(self):
        good = sealed({"seq": 90, "at": 1.7e9, "type": "step", "step": 9, "samples_seen": 2000, "loss": 2})
        lies = {"a sparse file of 100 GB": "os.truncate(events, 100 << 30)",
                "a line of 2 GB": f"f = open(events, 'r+'); f.truncate(2 << 30); f.seek(0, 2); f.write('\\n' + {good!r})",
                "a million lines": "open(events, 'a').write('{}\\n' * 1000000)"}
        for name, python in lies.items():
            with self.subTest(name):
                shutil.rmtree(self.store, ignore_errors=True)
                file = self.spoiling_trainer(python)
                limit = 600 << 20
                done = subprocess.run(self.command("run", file), capture_output=True, text=True, timeout=self.TIMEOUT,
                                      preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)))
                self.assertEqual(done.returncode, 0, done.stderr)
                self.assertIn("events.jsonl", done.stderr)
                self.assertLess(done.stderr.count("\n"), 40)
                self.assertEqual(self.points(), self.expected)


class ResultTest(ForeignFilesTest):
    def check_bad_result(self, python, told):
        shutil.rmtree(self.store, ignore_errors=True)
        file = self.spoiling_trainer(python)
        out = self.sweep("run", file, expect=3)
        _, folder = self.run_of(LIES_FOR)
        self.assertIn("result.json", out)
        self.assertRegex(out, told)
        self.assertLessEqual(set(self.points()), set(self.expected))
        self.assertEqual(self.other_points(self.points()), self.other_points(self.expected))
        self.assertEqual(self.sweep_json("status")["sweeps"][0]["runs_by_state"], {"completed": 2, "failed": 1})
        self.sweep("run", file)  # failed runs are left alone
        self.stop_spoiling()
        self.assertEqual(self.sweep_json("run", "--retry-failed", file)["completed"], 1)
        self.assertEqual(self.points(), self.expected)
        self.assertTrue(os.path.lexists(os.path.join(folder, "result.json.damaged")))

    def test_a_torn_or_malformed_result_fails_its_run_alone(self):
        for text in ["", '{"schema":1}', '{"schema":"sweep.result/1","run_', "[]", "[" * 300000, '{"a":' * 300000]:
            with self.subTest(text[:40]):
                self.check_bad_result(f"open(result, 'w').write({text[:20]!r} * {max(1, len(text) // 20)})", "bad_result")

    def test_a_result_that_no_run_could_have_left_fails_its_run(self):
        lies = {"outcome": "'whatever'", "samples_seen": "-5", "checkpoint": "'../../../..'", "attempt": "0",
                "run_id": "'0' * 32", "final_loss": "'x'", "train_seconds": "-1"}
        for member, value in [*lies.items(), ("samples_seen", "1024"), ("checkpoint", "'/tmp'"), ("checkpoint", "'attempts/7'"),
                              ("samples_seen", "2 ** 63"), ("train_seconds", "1e300")]:
            with self.subTest(member=member, value=value):
                self.check_bad_result(f"lie = json.load(open(result)); del lie['sha256']; lie[{member!r}] = {value}; "
                                      f"json.dump(lie, open(result, 'w'))", "result.json")

    def test_a_changed_result_is_noticed_by_its_checksum(self):
        self.check_bad_result("text = open(result).read(); open(result, 'w').write(text.replace('1.0', '2.0', 1))",
                              "is not what its sha256 says")

    def test_a_result_that_is_damaged_later_is_made_again(self):
        file = self.file_with(TINY_TRAINER)
        self.sweep("run", file)
        _, folder = self.run_of(LIES_FOR)
        os.truncate(os.path.join(folder, "result.json"), 30)
        self.assertEqual(self.sweep_json("run", file)["completed"], 1)
        self.assertIn("result.json", self.last_stderr)
        self.assertEqual(self.points(), self.expected)
        self.assertTrue(os.path.exists(os.path.join(folder, "result.json.damaged")))

    def test_a_result_torn_by_a_power_loss_does_not_stop_its_sweep(self):
        file = self.spoiling_trainer("os.truncate(result, 30); [os.unlink(e) for e in evaluations]; "
                                     "os.kill(os.getppid(), 9); os.kill(os.getpid(), 9)")
        subprocess.run(self.command("run", file), capture_output=True, timeout=60)
        self.stop_spoiling()
        self.sweep("run", file)
        self.assertIn("result.json.damaged", self.last_stderr)
        self.assertEqual(self.points(), self.expected)


class EvaluationTest(ForeignFilesTest):
    def test_an_evaluation_that_is_missing_or_damaged_is_told_and_made_again(self):
        change = "lie = json.load(open(evaluations[0])); del lie['sha256']; {}; json.dump(lie, open(evaluations[0], 'w'))"
        for python in ["os.unlink(evaluations[0])", "os.truncate(evaluations[0], 99)", "os.truncate(evaluations[0], 0)",
                       "os.unlink(evaluations[0]); os.mkfifo(evaluations[0])",
                       "os.unlink(evaluations[0]); os.symlink('nowhere', evaluations[0])",
                       "open(evaluations[0], 'w').write(open(evaluations[1]).read())",
                       change.format("lie['metrics']['acc1']['value'] = float('nan')"),
                       change.format("lie['metrics']['acc1']['value'] = '0.5'"),
                       change.format("lie['metrics']['acc1']['value'] = 1.5"),
                       change.format("lie['metrics'] = {}"), change.format("lie['run_id'] = '0' * 32"),
                       change.format("lie['eval_dataset'] = 'another'"), change.format("lie['samples_seen'] = 10 ** 9")]:
            with self.subTest(python):
                shutil.rmtree(self.store, ignore_errors=True)
                file = self.spoiling_trainer(python)
                self.assertIn("evaluations/", self.sweep("run", file, expect=3))
                self.assertEqual(len(self.points()), len(self.expected) - 3)
                self.stop_spoiling()
                self.sweep("run", file)  # the run is completed: what is missing of it is no retry
                self.assertEqual(self.points(), self.expected)

    def test_an_evaluation_that_goes_or_is_damaged_later_is_made_again(self):
        file = self.file_with(TINY_TRAINER)
        self.sweep("run", file)
        _, folder = self.run_of(LIES_FOR)
        generator = random.Random(7)
        for damage in [os.unlink, lambda path: os.truncate(path, 50), self.flip_a_bit(generator), self.flip_a_bit(generator)]:
            path = sorted(glob.glob(folder + "/evaluations/*.json"))[0]
            damage(path)
            self.sweep("run", file)
            self.assertIn(path, self.last_stderr)
            self.assertEqual(self.points(), self.expected)
            self.sweep("db", "rebuild")
            self.assertEqual(self.points(), self.expected)

    @staticmethod
    def flip_a_bit(generator):
        def flip(path):
            with open(path, "r+b") as file:
                content = bytearray(file.read())
                content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
                file.seek(0)
                file.write(content)
        return flip

    def test_every_flipped_bit_of_a_result_or_evaluation_is_noticed(self):
        file = self.file_with(TINY_TRAINER)
        self.sweep("run", file)
        _, folder = self.run_of(LIES_FOR)
        generator = random.Random(5)
        flip = self.flip_a_bit(generator)
        for _ in range(12):
            path = generator.choice(glob.glob(folder + "/evaluations/*.json"))
            with open(path, "rb") as whole:
                content = whole.read()
            flip(path)
            self.sweep("db", "rebuild")
            self.assertIn(path, self.last_stderr)
            self.assertEqual(len(self.points()), len(self.expected) - 3)
            with open(path, "wb") as out:
                out.write(content)

    def test_points_from_files_without_a_checksum_are_said_to_be_unchecked(self):
        file = self.file_with(TINY_TRAINER)
        self.sweep("run", file)
        self.assertEqual(self.sweep_json("db", "check")["evaluations_without_checksum"], 0)
        _, folder = self.run_of(LIES_FOR)
        path = glob.glob(folder + "/evaluations/*.json")[0]
        with open(path) as whole:
            evaluation = json.load(whole)
        del evaluation["sha256"]
        with open(path, "w") as out:
            json.dump(evaluation, out)
        self.sweep("db", "rebuild")
        self.assertEqual(self.points(), self.expected)
        self.assertEqual(self.sweep_json("db", "check")["evaluations_without_checksum"], 1)
        self.assertEqual(self.sweep("export", "evaluations", "--format", "jsonl").count('"checked":0'), 1)


class SomethingElseTest(ForeignFilesTest):
    """A pipe, folder, socket or link in the place of each file: nobody waits for it, and the run is whole afterwards."""

    def put(self, path, what):
        if os.path.isdir(path):
            shutil.rmtree(path)
        elif os.path.lexists(path):
            os.unlink(path)
        if what == "pipe":
            os.mkfifo(path)
        elif what == "folder":
            os.makedirs(path)
        elif what == "socket":
            here = os.getcwd()
            os.chdir(os.path.dirname(path))  # the name of a socket is short
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(os.path.basename(path))
            os.chdir(here)
        else:
            os.symlink({"dangling": "nowhere", "loop": os.path.basename(path), "device": "/dev/zero"}[what], path)

    def test_nobody_waits_for_what_is_no_regular_file(self):
        file = self.file_with(TINY_TRAINER)
        self.sweep("run", file)
        whole = self.path("whole")
        shutil.copytree(self.store, whole)
        run, _ = self.run_of(LIES_FOR)
        evaluation = "evaluations/" + sorted(os.listdir(f"{self.store}/runs/{run}/evaluations"))[0]
        places = ["result.json", evaluation, "evaluations", "lock", "spec.json", "attempts", "attempts/1",
                  "attempts/1/events.jsonl", "attempts/1/attempt.json", "attempts/1/stderr.log", "attempts/1/checkpoints", ""]
        kinds = ["pipe", "folder", "socket", "dangling", "loop", "device"]
        for number, place in enumerate(places):
            for what in (kinds[number % 3], kinds[3 + number % 3]):
                with self.subTest(place=place, what=what):
                    shutil.rmtree(self.store)
                    shutil.copytree(whole, self.store)
                    self.put(os.path.join(self.store, "runs", run, place).rstrip("/"), what)
                    self.sweep("run", file)
                    self.assertEqual(self.points(), self.expected)
                    self.sweep("gc")
                    subprocess.run(self.command("logs", run), capture_output=True, timeout=20)
                    self.sweep("db", "rebuild")
                    self.assertEqual(self.points(), self.expected)

    def test_logs_that_are_no_regular_files_are_not_followed(self):
        self.sweep("run", self.file_with(TINY_TRAINER))
        run, folder = self.run_of(LIES_FOR)
        self.put(folder + "/attempts/1/stdout.log", "pipe")
        self.sweep("logs", run, expect=6)
        self.assertIn("not a regular file", self.last_stderr)


class RemovedFoldersTest(ForeignFilesTest):
    def test_what_is_removed_by_hand_is_made_again(self):
        file = self.file_with(TINY_TRAINER)
        self.sweep("run", file)
        run, folder = self.run_of(LIES_FOR)
        for rebuild in (False, True):
            for place in ("", "attempts", "attempts/1", "evaluations", "result.json"):
                with self.subTest(place=place, rebuild=rebuild):
                    target = os.path.join(folder, place)
                    shutil.rmtree(target) if os.path.isdir(target) else os.unlink(target)
                    if rebuild:
                        self.sweep("db", "rebuild")
                    self.sweep("run", file)
                    self.assertEqual(self.points(), self.expected)
                    self.assertEqual(self.sweep_json("run", file)["already_done"], 3)
                    if not os.path.isdir(folder + "/attempts/1"):
                        os.makedirs(folder + "/attempts/1")

    def test_a_failed_runs_folder_removed_by_hand_is_made_again(self):
        file = self.spoiling_trainer("os.unlink(result); [os.unlink(e) for e in evaluations]; sys.exit(1)")
        self.sweep("run", file, expect=3)
        run, folder = self.run_of(LIES_FOR)
        for rebuild in (False, True):
            shutil.rmtree(folder)
            if rebuild:
                self.sweep("db", "rebuild")
            self.sweep("run", "--retry-failed", file, expect=3)
        shutil.rmtree(folder)
        self.stop_spoiling()
        self.sweep("run", "--retry-failed", file)
        self.assertEqual(self.points(), self.expected)
        self.assertEqual(os.listdir(folder + "/attempts"), ["4"])

    def test_a_torn_spec_is_written_again(self):
        for text in ("", '{"schema":1}', "[" * 300000):
            with self.subTest(text[:20]):
                shutil.rmtree(self.store, ignore_errors=True)
                file = self.spoiling_trainer(f"os.unlink(result); open(run_dir + '/spec.json', 'w').write({text!r}); sys.exit(2)")
                self.sweep("run", file, expect=3)
                self.stop_spoiling()
                self.sweep("run", "--retry-failed", file)
                self.assertIn("spec.json.damaged", self.last_stderr)
                self.assertEqual(self.points(), self.expected)


if __name__ == "__main__":
    unittest.main()
