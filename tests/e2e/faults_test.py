"""Disturbs `sweep` at each of its calls that change files, and at random moments, and compares the store with an
undisturbed one.

The preloaded tests/support/fault_shim.c counts the calls below the store's folder (write, sync, rename, link, unlink,
truncate, mkdir, open for writing) and disturbs one of them: kill -9, a torn write, a full disk, a broken one. After
that one more `sweep run` must do what is missing, without any repair by hand. Invariant: no completed run is lost or
done twice, no run has two trainers at once, the database is whole, and the store gives an undisturbed store's points.
FAULT_EVERY=k takes every k-th call only: the short form for continuous integration.
"""
import contextlib
import fcntl
import json
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import time
import unittest
import zlib

from harness import SweepTest, tiny_sweep

FAULT_SHIM = os.environ["FAULT_SHIM"]
FAULT_EVERY = int(os.environ.get("FAULT_EVERY", "1"))
RANDOM_KILLS = int(os.environ.get("RANDOM_KILLS", "300"))
DATABASE, DISK_FULL = 7, 9  # exit codes


def small_sweep():
    """A run, its child and another one."""
    return tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024, 4096]},
                      include=[{"model": "w32", "samples_seen": 2048, "start": {"from": {"samples_seen": 1024}}}])


class FaultTest(SweepTest):
    def setUp(self):
        super().setUp()
        self.file = self.write_sweep(small_sweep())
        self.reference = self.path("reference")
        self.sweep("run", self.file, store=self.reference)
        self.expected = self.points(store=self.reference)

    def ledger(self, store):
        """What trainers of this store wrote down: began, published or met another one."""
        if not os.path.exists(store + ".ledger"):
            return []
        with open(store + ".ledger") as lines:
            return [line.split() for line in lines]

    def environment(self, store, **more):
        return {**os.environ, "TINY_TRAINER_LEDGER": store + ".ledger", **more}

    def check_recovery(self, store):
        completed_before = self.completed_runs(store)
        self.sweep("run", self.file, store=store, env=self.environment(store))
        self.assertEqual(self.points(store=store), self.expected)
        self.sweep("db", "check", store=store)
        for run, attempts in completed_before.items():
            self.assertEqual(os.listdir(os.path.join(store, "runs", run, "attempts")), attempts,
                             "a finished run was started again")
        acts = self.ledger(store)
        published = [run for act, run in acts if act == "published"]
        self.assertEqual(len(published), len(set(published)), "a run was done twice")
        self.assertNotIn("collided", [act for act, _ in acts], "two trainers at once on one run")

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


class EveryCallTest(FaultTest):
    def count_calls(self):
        count = self.path("count")
        store = self.path("counted")
        self.sweep("run", self.file, store=store, env={"LD_PRELOAD": FAULT_SHIM, "FAULT_PROGRAM": "sweep",
                                                       "FAULT_FOLDER": store, "FAULT_COUNT": count})
        with open(count) as number:
            return int(number.read())

    def disturbed_run(self, kind, call, store):
        """(exit code, stderr) of a `sweep run` that meets a fault; None where it ended before that call."""
        mark = store + ".mark"
        done = subprocess.run(self.command("run", self.file, store=store), capture_output=True, text=True, timeout=120,
                              env=self.environment(store, LD_PRELOAD=FAULT_SHIM, FAULT_PROGRAM="sweep",
                                                   FAULT_FOLDER=store, FAULT=kind, FAULT_AT=str(call), FAULT_MARK=mark))
        if not os.path.exists(mark):
            self.assertEqual(done.returncode, 0, done.stderr)
            return None
        return done.returncode, done.stderr

    def disturb_every_call(self, kind, accepts):
        calls = self.count_calls()
        self.assertGreater(calls, 100)
        disturbed = 0
        for call in range(1, calls + 1, FAULT_EVERY):
            store = self.path(f"{kind}-{call}")
            with self.subTest(kind=kind, call=call):
                met = self.disturbed_run(kind, call, store)
                if met is None:
                    continue  # this time it took fewer calls
                disturbed += 1
                accepts(*met)
                self.check_recovery(store)
        self.assertGreater(disturbed, calls // FAULT_EVERY * 3 // 4)

    def was_killed(self, code, stderr):
        self.assertEqual(code, -signal.SIGKILL, stderr)

    def said_that_the_disk_is_full(self, code, stderr):
        # 0: what could not be written was for nobody but readers, such as the lease's text.
        self.assertIn(code, (0, DISK_FULL), stderr)
        if code != 0:
            self.assertRegex(stderr, "No space left on device|database or disk is full")
            self.assertIn("make room", stderr)

    def said_that_there_was_no_room(self, code, stderr):
        # SQLite calls a sync without room an I/O error; when `sweep` looks, there is room again.
        self.assertIn(code, (0, DATABASE, DISK_FULL), stderr)
        if code != 0:
            self.assertRegex(stderr, "No space left on device|database or disk is full|disk I/O error|unable to open database")

    def said_what_could_not_be_written(self, code, stderr):
        self.assertIn(code, (0, DATABASE), stderr)
        if code != 0:
            self.assertRegex(stderr, "Input/output error|disk I/O error|unable to open database file")

    def test_killed(self):
        self.disturb_every_call("kill", self.was_killed)

    def test_killed_in_the_middle_of_a_write(self):
        self.disturb_every_call("torn", self.was_killed)

    def test_the_disk_is_full_from_a_call_on(self):
        self.disturb_every_call("enospc", self.said_that_the_disk_is_full)

    def test_the_disk_is_full_for_one_call(self):
        self.disturb_every_call("enospc_once", self.said_that_there_was_no_room)

    def test_the_disk_fails_from_a_call_on(self):
        self.disturb_every_call("eio", self.said_what_could_not_be_written)

    def test_the_disk_fails_once(self):
        self.disturb_every_call("eio_once", self.said_what_could_not_be_written)


class RandomMomentsTest(FaultTest):
    KILLS_A_STORE = 10

    def test_killed_at_random_moments(self):
        generator = random.Random(20220314)
        store = self.path("random")
        for kill in range(1, RANDOM_KILLS + 1):
            process = subprocess.Popen(self.command("run", self.file, store=store),
                                       env=self.environment(store, TINY_TRAINER_STEP_SECONDS="0.01"),
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            time.sleep(generator.uniform(0, 0.4))
            process.kill()
            process.wait()
            if kill % self.KILLS_A_STORE == 0 or kill == RANDOM_KILLS:
                self.check_recovery(store)
                store = self.path(f"random-{kill}")


class DiskFullTest(FaultTest):
    def test_a_trainer_without_room_pauses_the_sweep_and_is_not_its_runs_fault(self):
        mark = self.path("roomy")
        body = '{"seq":1,"at":1.0,"type":"failure","class":"disk_full","message":"no room for a checkpoint"'
        with open(self.path("event"), "w") as out:
            print(f'{body},"crc32":"{zlib.crc32(body.encode()):08x}"}}', file=out)
        script = (f"[ -e {mark} ] || {{ cp {self.path('event')} $0/attempts/$1/events.jsonl; exit {DISK_FULL}; }}; "
                  f"exec {' '.join(small_sweep()['trainer']['command'])} $0 $1")
        file = self.write_sweep(dict(small_sweep(), trainer={"command": ["/bin/sh", "-c", script]}), "full.json")
        out = self.sweep("run", file, expect=DISK_FULL)
        self.assertIn("make room", out)
        states = self.sweep_json("status")["sweeps"][0]["runs_by_state"]
        self.assertEqual(states, {"planned": 3}, "no run failed")
        open(mark, "w").close()
        self.assertEqual(self.sweep_json("run", file)["completed"], 3)
        self.assertEqual(self.points(), self.expected)

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small disk needs root")
    def test_a_truly_full_disk_pauses_the_sweep_and_gc_makes_room_on_it(self):
        disk = self.path("disk")
        os.mkdir(disk)
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", disk]).returncode != 0:
            self.skipTest("no tmpfs can be mounted here")
        self.addCleanup(subprocess.run, ["umount", disk])
        store = os.path.join(disk, "store")
        first = self.write_sweep(dict(small_sweep(), include=[], grid={"model": ["w32"], "samples_seen": [1024]}), "first.json")
        self.sweep("run", first, store=store)
        (run,) = os.listdir(os.path.join(store, "runs"))
        useless = os.path.join(store, "runs", run, "attempts/1/checkpoints/000000000512")
        os.mkdir(useless)
        with open(os.path.join(useless, "model.safetensors"), "wb", buffering=0) as out:
            with self.assertRaises(OSError):
                while True:
                    if out.write(bytes(4096)) < 4096:
                        raise OSError("full")
        self.sweep("run", self.file, store=store, expect=DISK_FULL)
        self.assertIn("make room", self.last_stderr)
        self.assertEqual(self.sweep_json("status", store=store)["sweeps"][0]["runs_by_state"], {"completed": 1})
        self.sweep("gc", "--delete", store=store)
        self.sweep("run", self.file, store=store)
        self.assertEqual(self.points(store=store), self.expected)


class ReadOnlyTest(FaultTest):
    @unittest.skipUnless(os.geteuid() == 0, "mounting read-only needs root")
    def test_readers_read_a_read_only_store_and_writers_say_what_is_wrong(self):
        self.sweep("run", self.file)
        bind = subprocess.run(["mount", "--bind", self.store, self.store])
        if bind.returncode != 0:
            self.skipTest("no folder can be mounted here")
        self.addCleanup(subprocess.run, ["umount", self.store])
        subprocess.run(["mount", "-o", "remount,ro,bind", self.store], check=True)
        self.assertEqual(self.points(), self.expected)
        self.assertIn("completed", self.sweep("status"))
        self.sweep("db", "check")
        self.sweep("plan", self.file)
        self.sweep("run", self.file, expect=DATABASE)
        self.assertIn("Read-only file system", self.last_stderr)


class DamageTest(FaultTest):
    """Bits that flip on the disk: noticed, told, and mended from the files."""
    FLIPS = 40 if FAULT_EVERY == 1 else 8

    def flip(self, path, generator, bits):
        with open(path, "r+b") as file:
            content = bytearray(file.read())
            for _ in range(bits):
                content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
            file.seek(0)
            file.write(content)

    def try_sweep(self, *arguments):
        """With whatever exit code, and whatever bytes a damaged database makes it print."""
        return subprocess.run(self.command(*arguments), capture_output=True, text=True, errors="replace", timeout=60)

    def test_a_damaged_database_is_noticed_and_made_anew(self):
        self.sweep("run", self.file)
        database = os.path.join(self.store, "sweep.db")
        whole = self.path("whole.db")
        shutil.copy(database, whole)
        generator = random.Random(4711)
        noticed = 0
        for flip in range(self.FLIPS):
            with self.subTest(flip=flip):
                shutil.copy(whole, database)
                self.flip(database, generator, bits=200)
                checked = self.try_sweep("db", "check")
                self.assertIn(checked.returncode, (0, DATABASE), checked.stderr)
                if checked.returncode == DATABASE:
                    noticed += 1
                    self.assertIn("sweep db rebuild", checked.stderr)
                ran = self.try_sweep("run", self.file)
                self.assertIn(ran.returncode, (0, DATABASE), ran.stderr)  # 1 would be a bug, -11 a crash
                self.sweep("db", "rebuild")
                self.assertEqual(self.points(), self.expected)
                self.sweep("db", "check")
                self.assertEqual(self.sweep_json("run", self.file)["already_done"], 3)
        self.assertGreater(noticed, self.FLIPS // 2)

    def test_every_damaged_event_line_is_told(self):
        self.sweep("run", self.file)
        run = os.listdir(os.path.join(self.store, "runs"))[0]
        events = os.path.join(self.store, "runs", run, "attempts/1/events.jsonl")
        with open(events, "rb") as file:
            whole = file.read()
        lines = whole.splitlines(keepends=True)
        generator = random.Random(1)
        for flip in range(self.FLIPS):
            number = generator.randrange(len(lines))
            line = bytearray(lines[number])
            line[generator.randrange(len(line) - 1)] ^= 1 << generator.randrange(8)
            with open(events, "wb") as file:
                file.write(b"".join([*lines[:number], bytes(line), *lines[number + 1:]]))
            with self.subTest(flip=flip, line=bytes(line)):
                self.sweep("db", "rebuild")
                self.assertIn(f"the line at byte {sum(map(len, lines[:number]))} is damaged", self.last_stderr)
                self.assertEqual(self.points(), self.expected)

    def test_a_damaged_result_or_evaluation_is_told_and_no_number_of_it_is_used(self):
        self.sweep("run", self.file)
        run = os.path.join(self.store, "runs", os.listdir(os.path.join(self.store, "runs"))[0])
        evaluation = os.path.join(run, "evaluations", sorted(os.listdir(os.path.join(run, "evaluations")))[0])
        with open(evaluation, "r+") as file:
            file.truncate(40)
        self.sweep("db", "rebuild")
        self.assertIn(evaluation, self.last_stderr)
        self.assertLess(set(self.points()), set(self.expected))  # fewer, and none that is new


class AnotherHostTest(FaultTest):
    """A `sweep` was killed on a machine of another name - or in a container that has a new one - with runs at work."""

    def setUp(self):
        super().setUp()
        process = subprocess.Popen(self.command("run", self.file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                   env=self.environment(self.store, TINY_TRAINER_STEP_SECONDS="0.3"))
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        self.wait_until(lambda: self.has_started() and self.sweep("export", "transitions").count(",process ") == 2)
        process.kill()
        process.wait()
        with contextlib.closing(sqlite3.connect(os.path.join(self.store, "sweep.db"))) as database:
            (self.run,) = database.execute("SELECT run_id FROM attempts WHERE outcome IS NULL LIMIT 1").fetchone()
            database.execute("UPDATE attempts SET host = 'elsewhere' WHERE outcome IS NULL")
            database.commit()
        lease = os.path.join(self.store, "lease")
        with open(lease) as file:
            self.assertIn(f"process {process.pid} on ", text := file.read())
        with open(lease, "w") as file:
            file.write(text.replace(f" on {os.uname().nodename} ", " on elsewhere "))

    def test_its_runs_are_taken_up_once_their_trainers_have_gone(self):
        self.assertIn("nobody works on", self.sweep("status"))
        self.assertIsNone(self.sweep_json("status")["held_by"])
        self.assertIn("ended without a word", self.sweep("explain", self.run))
        self.sweep("watch", expect=0)
        self.sweep("run", self.file, env=self.environment(self.store))
        self.check_recovery(self.store)

    def test_a_trainer_that_is_still_at_work_keeps_its_run(self):
        with open(os.path.join(self.store, "runs", self.run, "lock"), "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            self.sweep("run", self.file, expect=5)
            self.assertIn("is still at work on elsewhere", self.last_stderr)
        self.sweep("run", self.file, env=self.environment(self.store))
        self.check_recovery(self.store)


class TwoOrchestratorsTest(FaultTest):
    def start_and_pause(self):
        process = subprocess.Popen(self.command("run", self.file), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                   text=True, env=self.environment(self.store, TINY_TRAINER_STEP_SECONDS="0.3"))
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.kill)
        # Both slots at work: it waits for news and holds no lock of the database.
        self.wait_until(lambda: self.has_started() and self.sweep("export", "transitions").count(",process ") == 2)
        process.send_signal(signal.SIGSTOP)
        return process

    def test_a_paused_sweep_keeps_its_store_on_one_machine(self):
        paused = self.start_and_pause()
        self.sweep("run", self.file, expect=5)
        self.assertIn(f"process {paused.pid} on", self.last_stderr)
        paused.send_signal(signal.SIGCONT)
        _, errors = paused.communicate(timeout=60)
        self.assertEqual(paused.returncode, 0, errors)
        self.check_recovery(self.store)

    def test_a_paused_sweep_whose_lock_was_lost_writes_nothing_more(self):
        paused = self.start_and_pause()
        os.unlink(os.path.join(self.store, "lease"))  # as a network file system drops a lock
        self.sweep("run", self.file, env=self.environment(self.store))
        with open(os.path.join(self.store, "journal.jsonl")) as file:
            journal = file.read()
        transitions = self.sweep("export", "transitions")
        paused.send_signal(signal.SIGCONT)
        _, errors = paused.communicate(timeout=60)
        self.assertEqual(paused.returncode, 5, errors)
        self.assertIn("taken it over", errors)
        with open(os.path.join(self.store, "journal.jsonl")) as file:
            self.assertEqual(file.read(), journal)
        self.assertEqual(self.sweep("export", "transitions"), transitions)
        self.check_recovery(self.store)

    def test_a_sweep_that_finds_another_ones_mark_in_the_database_writes_nothing_more(self):
        paused = self.start_and_pause()
        with contextlib.closing(sqlite3.connect(os.path.join(self.store, "sweep.db"))) as database:
            database.execute("UPDATE meta SET value = value + 1 WHERE key = 'holder'")
            database.commit()
        paused.send_signal(signal.SIGCONT)
        _, errors = paused.communicate(timeout=60)
        self.assertEqual(paused.returncode, 5, errors)
        self.check_recovery(self.store)


FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"


@unittest.skipUnless(os.path.exists(FAKETIME), "libfaketime is not installed")
class ClockTest(FaultTest):
    def run_while_the_clock_jumps(self, jumps):
        """A run of `sweep` whose wall clock is set again and again, and its trainers' is not."""
        command = ["env", "-u", "LD_PRELOAD", *small_sweep()["trainer"]["command"]]
        self.file = self.write_sweep(dict(small_sweep(), trainer={"command": command}))
        offset = self.path("offset")

        def set_clock(text):
            with open(offset + ".new", "w") as out:
                out.write(text + "\n")
            os.rename(offset + ".new", offset)

        set_clock("+0")
        process = subprocess.Popen(
            self.command("run", self.file, "--json"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env=self.environment(self.store, LD_PRELOAD=FAKETIME, FAKETIME_TIMESTAMP_FILE=offset, FAKETIME_NO_CACHE="1",
                                 FAKETIME_DONT_FAKE_MONOTONIC="1", TINY_TRAINER_STEP_SECONDS="0.1"))
        self.wait_until(self.has_started)
        for jump in jumps:
            set_clock(jump)
            time.sleep(0.25)
        out, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 0, errors)
        report = json.loads(out)
        self.assertEqual((report["completed"], report["failed"]), (3, 0))
        self.assertEqual([run["attempts"] for run in self.sweep_json("status")["sweeps"][0]["runs"]], [1] * 3)
        self.check_recovery(self.store)

    def test_a_clock_that_jumps_forwards_kills_nobody(self):
        self.run_while_the_clock_jumps(["+1h", "+30d", "+10y"])

    def test_a_clock_that_jumps_backwards_kills_nobody(self):
        self.run_while_the_clock_jumps(["-1h", "-30d", "-3y"])


if __name__ == "__main__":
    unittest.main()
