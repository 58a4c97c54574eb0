"""A store whose own files were lost, damaged, put back from an older copy, or come from somebody else."""
import contextlib
import glob
import hashlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest
import zlib

from harness import TINY_TRAINER, SweepTest, tiny_sweep

FAULT_SHIM = os.environ.get("FAULT_SHIM", "")


class StoreFilesTest(SweepTest):
    TIMEOUT = 60

    def setUp(self):
        super().setUp()
        self.other = self.write_sweep(self.one_run("other", 2048), "other.json")
        self.file = self.write_sweep(tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024, 4096, 16384]}))
        self.sweep("run", self.file)
        self.expected = self.points()

    def one_run(self, name, samples):
        return tiny_sweep(name=name, grid={"model": ["w32"], "samples_seen": [samples]})

    def in_store(self, *names):
        return os.path.join(self.store, *names)

    def remove_database(self):
        for path in glob.glob(self.in_store("sweep.db*")):
            os.unlink(path)

    def sql(self, statement, database="sweep.db"):
        with contextlib.closing(sqlite3.connect(self.in_store(database))) as connection:
            rows = connection.execute(statement).fetchall()
            connection.commit()
            return rows

    def attempts(self):
        return sorted(glob.glob(self.in_store("runs/*/attempts/*")))

    def journal_lines(self):
        with open(self.in_store("journal.jsonl"), "rb") as journal:
            return journal.read().splitlines(keepends=True)

    def write_journal(self, lines):
        with open(self.in_store("journal.jsonl"), "wb") as journal:
            journal.write(b"".join(lines))


class LostDatabaseTest(StoreFilesTest):
    def test_readers_say_what_to_do_and_a_run_of_another_sweep_takes_everything_in(self):
        before = self.attempts()
        self.remove_database()
        for command in (["status"], ["export", "points"], ["fit"]):
            self.sweep(*command, expect=7)
            self.assertIn("sweep db rebuild", self.last_stderr)
        self.sweep("run", self.other)
        self.assertIn("made anew", self.last_stderr)
        self.assertLessEqual(set(self.expected), set(self.points()))
        self.assertLessEqual(set(before), set(self.attempts()))
        self.sweep("db", "check")

    def test_an_empty_database_is_none(self):
        self.remove_database()
        open(self.in_store("sweep.db"), "w").close()
        self.sweep("run", self.other)
        self.assertLessEqual(set(self.expected), set(self.points()))
        self.sweep("db", "check")

    def test_an_old_copy_of_the_database_is_brought_up_to_date(self):
        shutil.copy(self.in_store("sweep.db"), self.path("old.db"))
        self.sweep("run", self.other)
        more = self.write_sweep(self.one_run("more", 8192), "more.json")
        self.sweep("run", more)
        expected = self.points()
        shutil.copy(self.path("old.db"), self.in_store("sweep.db"))
        self.sweep("db", "check", expect=7)
        self.sweep("run", self.file)
        self.assertEqual(self.points(), expected)
        self.sweep("db", "check")

    def test_a_database_without_its_log_is_brought_up_to_date(self):
        three = self.write_sweep(tiny_sweep(name="three", grid={"model": ["w32"], "samples_seen": [2048, 8192, 32768]},
                                            executor={"kind": "local", "slots": 1}), "three.json")
        process = subprocess.Popen(self.command("run", three), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env={**os.environ, "TINY_TRAINER_STEP_SECONDS": "0.2"})
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_until(lambda: sum(b"attempt_ended" in line for line in self.journal_lines()) == 5)
        process.kill()
        process.wait()
        for suffix in ("-wal", "-shm"):
            os.unlink(self.in_store("sweep.db" + suffix))
        self.sweep("run", self.file)
        points = set(self.points())
        self.assertLess(set(self.expected), points)
        self.assertEqual(len(points), len(self.expected) * 5 // 3)
        self.sweep("db", "check")


class RebuildTest(StoreFilesTest):
    def test_a_flipped_bit_in_the_journal_costs_its_line(self):
        lines = self.journal_lines()
        for number in range(len(lines)):
            with self.subTest(line=number):
                damaged = bytearray(lines[number])
                damaged[len(damaged) // 2] ^= 1
                self.write_journal([*lines[:number], bytes(damaged), *lines[number + 1:]])
                self.sweep("db", "check", expect=7)
                self.sweep("db", "rebuild")
                self.assertIn(f"the line at byte {sum(map(len, lines[:number]))} is damaged", self.last_stderr)
                self.assertEqual(self.points(), self.expected)
                self.assertEqual(self.sweep_json("run", self.file)["already_done"], 3)
                self.sweep("db", "check")

    def test_a_removed_line_costs_what_it_recorded(self):
        lines = self.journal_lines()
        for number in range(len(lines)):
            with self.subTest(line=number):
                self.write_journal([*lines[:number], *lines[number + 1:]])
                self.sweep("db", "rebuild")
                self.assertEqual(self.points(), self.expected)
                self.assertEqual(self.sweep_json("run", self.file)["already_done"], 3)
                self.sweep("db", "check")

    def test_without_a_journal_results_are_taken_in(self):
        os.unlink(self.in_store("journal.jsonl"))
        self.sweep("db", "rebuild")
        self.assertEqual(self.points(), self.expected)
        self.assertEqual(self.sweep_json("run", self.file)["already_done"], 3)

    def test_a_rebuild_that_is_killed_leaves_the_old_database_or_the_new_one(self):
        if not FAULT_SHIM:
            self.skipTest("cannot be preloaded into")
        states = self.sweep("export", "points")
        for kind, accepts in (("kill", {-signal.SIGKILL}), ("eio", {0, 7})):
            for call in range(1, 200, 5):
                mark = self.path("mark")
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(mark)
                done = subprocess.run(
                    self.command("db", "rebuild"), capture_output=True, text=True, timeout=self.TIMEOUT,
                    env={**os.environ, "LD_PRELOAD": FAULT_SHIM, "FAULT_PROGRAM": "sweep", "FAULT_FOLDER": self.store,
                         "FAULT": kind, "FAULT_AT": str(call), "FAULT_MARK": mark})
                with self.subTest(kind=kind, call=call):
                    if not os.path.exists(mark):
                        break
                    self.assertIn(done.returncode, accepts, done.stderr)
                    self.assertEqual(self.sweep("export", "points"), states)
                    self.sweep("db", "check")

    def test_what_is_no_store_is_not_made_one(self):
        os.mkdir(self.path("empty"))
        self.sweep("db", "rebuild", store=self.path("empty"), expect=6)
        self.assertEqual(os.listdir(self.path("empty")), [])


class DamagedListsTest(StoreFilesTest):
    def test_a_damaged_sweep_costs_itself_alone_and_its_run_writes_it_anew(self):
        self.sweep("run", self.other)
        expected = self.points()
        (status,) = [sweep for sweep in self.sweep_json("status")["sweeps"] if sweep["name"] == "other"]
        path = self.in_store("sweeps", status["sweep_id"] + ".json")
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace('"params":', '"params":1', 1))  # still a whole document
        before = self.attempts()
        self.sweep("db", "check", expect=7)
        self.sweep("db", "rebuild")
        self.assertIn(path, self.last_stderr)
        self.assertEqual(self.points(), self.expected)
        self.sweep("run", self.other)
        self.assertEqual(self.points(), expected)
        self.assertEqual(self.attempts(), before)
        self.sweep("db", "check")

    def test_a_damaged_import_costs_itself_alone(self):
        table = self.path("table.csv")
        with open(table, "w") as out:
            out.write("compute_gmacs,value,metric,task,eval_dataset,curve\n1,0.5,acc1,t,d,c\n10,0.25,acc1,t,d,c\n")
        self.sweep("import", table)
        expected = self.points()
        (path,) = glob.glob(self.in_store("imports/*/import.json"))
        with open(path) as file:
            text = file.read()
        with open(path, "w") as file:
            file.write(text.replace("0.25", "0.35"))
        self.sweep("db", "check", expect=7)
        self.sweep("db", "rebuild")
        self.assertIn(path, self.last_stderr)
        self.assertEqual(self.points(), self.expected)
        self.sweep("import", table)
        self.assertEqual(self.points(), expected)
        self.sweep("db", "check")


class CheckTest(StoreFilesTest):
    def test_what_differs_between_database_and_files_is_told(self):
        self.sweep("db", "check")
        self.sql("UPDATE measurements SET value = value + 0.1 WHERE metric = 'acc1'")
        self.sweep("db", "check", expect=7)
        self.assertIn("sweep db rebuild", self.last_stderr)
        self.sweep("db", "rebuild")
        self.sweep("db", "check")
        self.assertEqual(self.points(), self.expected)

    def test_a_damaged_evaluation_is_told_and_the_advice_mends_it(self):
        path = glob.glob(self.in_store("runs/*/evaluations/*.json"))[0]
        with open(path, "r+") as file:
            file.truncate(40)
        found = self.sweep("db", "check", "--json", expect=7)
        self.assertTrue(any(path in problem for problem in json.loads(found)["problems"]))
        self.sweep("db", "rebuild")
        self.sweep("run", self.file)
        self.sweep("db", "check")
        self.assertEqual(self.points(), self.expected)

    @unittest.skipIf(os.environ.get("SWEEP_SANITIZE"), "the sanitizer looks at memory through a pipe of its own")
    def test_too_many_open_files_are_no_mistake_of_the_user(self):
        def few():
            resource.setrlimit(resource.RLIMIT_NOFILE, (4, 4))
        for command in (["status"], ["db", "check"], ["run", self.file]):
            done = subprocess.run(self.command(*command), capture_output=True, text=True, preexec_fn=few, timeout=60)
            self.assertNotIn(done.returncode, (0, 1, 2), done.stderr)


class ForeignStoreTest(StoreFilesTest):
    """What a store that was received from somebody may not do to who opens it."""

    def test_no_link_is_followed_for_writing(self):
        outside = self.path("outside")
        for name in ("lease", "journal.jsonl", "sweep.db-wal"):
            for make in (os.symlink, os.link):
                with self.subTest(name=name, make=make.__name__):
                    with open(outside, "w") as file:
                        file.write("precious")
                    path, aside = self.in_store(name), self.path("aside")
                    if os.path.exists(path):
                        os.rename(path, aside)
                    make(outside, path)
                    self.sweep("run", self.other, expect=7)
                    self.assertIn(name, self.last_stderr)
                    with open(outside) as file:
                        self.assertEqual(file.read(), "precious")
                    os.unlink(path)
                    if os.path.exists(aside):
                        os.rename(aside, path)

    def test_readers_wait_for_no_pipe_and_follow_no_link(self):
        shutil.copy(self.in_store("sweep.db"), self.path("elsewhere.db"))
        for name in ("sweep.db", "sweep.db-wal", "sweep.db-shm"):
            for make in (os.mkfifo, os.mkdir, lambda path: os.symlink(self.path("elsewhere.db"), path)):
                with self.subTest(name=name):
                    path, aside = self.in_store(name), self.path("aside")
                    if os.path.exists(path):
                        os.rename(path, aside)
                    make(path)
                    for command in (["status"], ["export", "points"], ["db", "check"]):
                        said = self.sweep(*command, expect=7)
                        self.assertIn(name, said + self.last_stderr)
                    os.rmdir(path) if os.path.isdir(path) else os.unlink(path)
                    if os.path.exists(aside):
                        os.rename(aside, path)

    def test_folders_that_are_links_are_refused(self):
        for name in ("sweeps", "imports", "runs", "logs", "probes", "requests", "submissions", "forecasts"):
            with self.subTest(folder=name):
                path, aside, outside = self.in_store(name), self.path("aside"), self.path("outside")
                os.makedirs(outside, exist_ok=True)
                if os.path.exists(path):
                    os.rename(path, aside)
                os.symlink(outside, path)
                for command in (["run", self.other], ["db", "rebuild"], ["cancel", "--all"]):
                    self.sweep(*command, expect=7)
                    self.assertIn(name, self.last_stderr)
                self.assertEqual(os.listdir(outside), [])
                os.unlink(path)
                if os.path.exists(aside):
                    os.rename(aside, path)

    def test_the_folder_of_a_run_that_is_a_link_is_refused(self):
        self.sweep("run", self.other)
        (run,) = set(os.listdir(self.in_store("runs"))) - self.runs_of_first_sweep()
        self.remove_database()
        shutil.rmtree(self.in_store("runs", run))
        os.unlink(self.in_store("journal.jsonl"))
        os.mkdir(self.path("outside"))
        os.symlink(self.path("outside"), self.in_store("runs", run))
        done = subprocess.run(self.command("run", self.other), capture_output=True, text=True, timeout=60)
        self.assertIn(done.returncode, (3, 7), done.stderr)
        self.assertEqual(os.listdir(self.path("outside")), [])

    def runs_of_first_sweep(self):
        (tiny,) = [sweep for sweep in self.sweep_json("status")["sweeps"] if sweep["name"] == "tiny"]
        return {run["run_id"] for run in tiny["runs"]}

    def test_a_store_that_is_reached_by_a_link_is_fine(self):
        os.symlink(self.store, self.path("link"))
        self.sweep("run", self.other, store=self.path("link"))

    def foreign_job(self, token, said):
        (run, attempt), = self.sql("SELECT run_id, attempt FROM attempts LIMIT 1")
        self.sql(f"UPDATE attempts SET outcome = NULL, executor = 'command', job = '{token}_0' WHERE run_id = '{run}'")
        folder = self.in_store("submissions", "sweep-abcdefghi")
        os.makedirs(folder, exist_ok=True)
        with open(os.path.join(folder, "cancel.json"), "w") as out:
            json.dump(["touch", self.path("owned")], out)
        with open(os.path.join(folder, "accepted"), "w") as out:
            out.write(said + "\n")

    def test_cancel_runs_nothing_that_the_store_says(self):
        self.foreign_job("sweep-abcdefghi", "4711")
        self.sweep("cancel", "--all", expect=2)
        self.assertIn("--sweep", self.last_stderr)
        mine = tiny_sweep(executor={"kind": "command", "submit": ["true", "{script}"], "poll": ["true"],
                                    "cancel": ["sh", "-c", f"echo {{job}} >> {self.path('cancelled')}"]})
        self.sweep("cancel", "--all", "--sweep", self.write_sweep(mine, "mine.json"))
        with open(self.path("cancelled")) as file:
            self.assertEqual(file.read(), "4711\n")
        self.foreign_job("sweep-abcdefghi", f"4711;touch${{IFS}}{self.path('owned')}")
        self.sweep("cancel", "--all", "--sweep", self.path("mine.json"))
        self.foreign_job("../../outside", "4711")
        self.sweep("cancel", "--all", "--sweep", self.path("mine.json"), expect=7)
        self.assertFalse(os.path.exists(self.path("owned")))
        self.assertFalse(os.path.exists(self.path("outside")))

    def test_requests_and_forecasts_that_are_none_stop_nobody(self):
        os.makedirs(self.in_store("requests", "folder.json", "full"))
        os.mkfifo(self.in_store("requests", "pipe.json"))
        with open(self.in_store("requests", "odd.json"), "w") as out:
            json.dump({"schema": "sweep.retry_request/1", "at": 1, "runs": [7]}, out)
        for content in ([], {"earlier": 1}, {"earlier": [], "sealed_at": 1e300, "level": "x"}, {"seal": "a"}):
            text = json.dumps(content).encode()
            for folder in ("forecasts", "forecasts/scores"):
                os.makedirs(self.in_store(folder), exist_ok=True)
                with open(self.in_store(folder, hashlib.sha256(text).hexdigest() + ".json"), "wb") as out:
                    out.write(text)
        os.mkfifo(self.in_store("forecasts", "0" * 64 + ".json"))
        self.assertEqual(self.sweep_json("run", self.file)["already_done"], 3)
        done = subprocess.run(self.command("forecast", "--list"), capture_output=True, text=True, timeout=60)
        self.assertNotIn(done.returncode, (1, -6, -11), done.stderr)
        self.assertTrue(os.path.exists(self.in_store("requests", "folder.json", "full")))

    def test_a_profile_says_how_jobs_are_cancelled(self):
        self.foreign_job("sweep-abcdefghi", "4711")
        os.makedirs(self.path("config/sweep"))
        with open(self.path("config/sweep/profile.json"), "w") as out:
            json.dump({"executor": {"cancel": ["touch", self.path("by-profile")]}}, out)
        self.sweep("cancel", "--all")
        self.assertTrue(os.path.exists(self.path("by-profile")))


class LockedDatabaseTest(StoreFilesTest):
    def lock(self, mode):
        """Another client that locks the database until it is told to go."""
        script = ("import sqlite3,sys; c=sqlite3.connect(sys.argv[1], isolation_level=None);"
                  f"c.execute('PRAGMA journal_mode={mode}');"
                  "c.execute('BEGIN EXCLUSIVE'); print(1, flush=True); sys.stdin.read()")
        client = subprocess.Popen(["python3", "-c", script, self.in_store("sweep.db")], stdin=subprocess.PIPE,
                                  stdout=subprocess.PIPE)
        self.addCleanup(client.communicate)
        client.stdout.readline()
        return client

    def test_a_writer_waits_and_says_for_whom(self):
        client = self.lock("WAL")
        process = subprocess.Popen(self.command("run", self.other), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.stderr.close)
        self.assertIn(f"locked by process {client.pid} (python3)", process.stderr.readline())
        client.communicate()
        self.assertEqual(process.wait(timeout=30), 0)

    def test_a_reader_waits_and_ctrl_c_ends_it(self):
        client = self.lock("DELETE")
        process = subprocess.Popen(self.command("status"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.addCleanup(process.communicate)
        self.assertIn(f"process {client.pid}", process.stderr.readline())
        process.send_signal(signal.SIGINT)
        self.assertIn(process.wait(timeout=5), (-signal.SIGINT, 130))
        waiting = subprocess.Popen(self.command("status"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(0.3)
        client.communicate()
        self.assertEqual(waiting.wait(timeout=30), 0)


if __name__ == "__main__":
    unittest.main()
