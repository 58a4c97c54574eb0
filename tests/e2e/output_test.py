"""Where the output of `sweep` goes, and what happens where it cannot go there.

Results go to stdout whole or the exit code says that they did not; messages on stderr are a courtesy, without which the work
goes on; a closed stream never lends its number to a file of the store.
"""
import glob
import itertools
import os
import pty
import subprocess
import unittest

from harness import SOURCE, SWEEP, SweepTest, tiny_sweep

CLIP_TRAIN = os.path.join(os.path.dirname(SWEEP), "clip_train")
DISK_FULL = 9


class ResultTest(SweepTest):
    def setUp(self):
        super().setUp()
        self.file = self.write_sweep(tiny_sweep())
        self.sweep("run", self.file)

    def commands(self):
        """Each command that prints a result of its own."""
        return [["--version"], ["--help"], ["fit", "--help"], ["laws"], ["models"], ["datasets"], ["evaluations"],
                ["validate", self.file], ["plan", self.file], ["plan", self.file, "--runs"], ["run", self.file],
                ["status"], ["watch"], ["doctor"], ["fit"], ["compare", "openai", "laion"],
                ["predict", "--curve", "laion", "--model", "G/14", "--samples", "laion:68B"],
                ["export", "points"], ["export", "runs"], ["gc"], ["db", "check"], ["forecast", "list"]]

    def run_into(self, path, *arguments):
        with open(path, "w") as out:
            return subprocess.run(self.command(*arguments), stdout=out, stderr=subprocess.PIPE, text=True, timeout=300)

    def test_a_result_that_finds_no_room_is_no_success(self):
        tried = 0
        for arguments in self.commands():
            for form in ([], ["--json"]):
                told = subprocess.run(self.command(*arguments, *form), capture_output=True, text=True, timeout=300)
                if told.returncode != 0 or not told.stdout:
                    continue  # this command has no such form
                tried += 1
                with self.subTest(arguments=arguments, form=form):
                    full = self.run_into("/dev/full", *arguments, *form)
                    self.assertEqual(full.returncode, DISK_FULL, full.stderr)
                    self.assertRegex(full.stderr, "cannot write to stdout: No space left on device")
        self.assertGreater(tried, 25)

    def test_a_file_size_limit_is_no_room(self):
        """`ulimit -f` counts blocks of 1,024 bytes."""
        out = self.path("points.jsonl")
        done = subprocess.run(["bash", "-c", 'ulimit -f 1; exec "$@" > ' + out, "-",
                               *self.command("export", "points", "--format", "jsonl")], capture_output=True, text=True)
        self.assertEqual(done.returncode, DISK_FULL, done.stderr)
        self.assertEqual(os.path.getsize(out), 1024)

    def test_a_reader_that_has_enough_ends_it_quietly(self):
        read, write = os.pipe()
        os.close(read)
        with open(write, "w") as out:
            done = subprocess.run(self.command("export", "points"), stdout=out, stderr=subprocess.PIPE, text=True)
        self.assertEqual((done.returncode, done.stderr), (141, ""))

    @unittest.skipUnless(os.path.exists(CLIP_TRAIN), "clip_train was not built")
    def test_so_it_is_with_the_trainers_commands(self):
        model = os.path.join(SOURCE, "sweeps/models/scenes.json")
        for arguments in (["--help"], ["--version"],
                          ["bench", "--model", model, "--name", "scenes-xs", "--batch", "4", "--seconds", "0.1"]):
            with self.subTest(arguments=arguments), open("/dev/full", "w") as out:
                done = subprocess.run([CLIP_TRAIN, *arguments], stdout=out, stderr=subprocess.PIPE, text=True, timeout=300)
                self.assertEqual(done.returncode, DISK_FULL, done.stderr)


class MessageTest(SweepTest):
    def check_run(self, stderr, **options):
        """A `sweep run` with that stderr does all of its work."""
        done = subprocess.run(self.command("run", self.write_sweep(tiny_sweep())), stdout=subprocess.DEVNULL,
                              stderr=stderr, timeout=60, **options)
        self.assertEqual(done.returncode, 0)
        self.assertEqual(self.sweep_json("status")["sweeps"][0]["runs_by_state"], {"completed": 6})

    def test_the_work_goes_on_where_stderr_is_full(self):
        with open("/dev/full", "w") as full:
            self.check_run(full)

    def test_the_work_goes_on_where_nobody_reads_stderr(self):
        read, write = os.pipe()
        os.close(read)
        with open(write, "w") as out:
            self.check_run(out)

    def test_the_work_goes_on_where_the_terminal_has_gone(self):
        master, terminal = pty.openpty()
        os.close(master)
        self.addCleanup(os.close, terminal)
        self.check_run(terminal)


class ClosedStreamsTest(SweepTest):
    def test_no_file_of_the_store_gets_the_number_of_a_closed_stream(self):
        file = self.write_sweep(tiny_sweep())
        undisturbed = self.path("undisturbed")
        self.sweep("run", file, store=undisturbed)
        expected = self.points(store=undisturbed)
        for number, closed in enumerate(c for n in (1, 2, 3) for c in itertools.combinations("012", n)):
            with self.subTest(closed=closed):
                store = self.path(f"closed-{number}")
                streams = " ".join(f"{stream}>&-" for stream in closed)
                done = subprocess.run(["bash", "-c", f'exec "$@" {streams}', "-", *self.command("run", file, store=store)],
                                      timeout=60, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                self.assertEqual(done.returncode, 0)
                self.assertEqual(self.points(store=store), expected)
                with open(os.path.join(store, "journal.jsonl"), "rb") as journal:
                    self.assertTrue(all(line.startswith(b"{") for line in journal.read().splitlines()))
                self.sweep("db", "check", store=store)
                self.sweep("db", "rebuild", store=store)
                self.assertEqual(self.points(store=store), expected)


class OnePlaceTest(unittest.TestCase):
    def test_nothing_else_writes_to_stdout(self):
        """core/output.h is the only way, so that no result can be lost without a word."""
        words = ("fmt::print(", "std::cout", "std::printf(", "std::puts(", " printf(", "STDOUT_FILENO, ")
        found = []
        for folder in ("core", "db", "fit", "orchestrator", "trainer"):
            for path in glob.glob(os.path.join(SOURCE, folder, "**", "*.[ch]*"), recursive=True):
                with open(path) as file:
                    found += [f"{path}: {line.strip()}" for line in file if any(word in line for word in words)]
        allowed = [line for line in found if "posix_spawn" in line or "dup2" in line or "STDOUT_FILENO, STDERR" in line
                   or "STDOUT_FILENO, log" in line]
        self.assertEqual(sorted(set(found) - set(allowed)), [])


if __name__ == "__main__":
    unittest.main()
