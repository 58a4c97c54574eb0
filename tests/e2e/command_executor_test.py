"""`sweep run` with the executor `command`: a scheduler known by its commands alone, here a real task-spooler."""
import glob
import os
import shutil
import signal
import subprocess
import unittest

from harness import SweepTest, tiny_sweep

TSP = shutil.which("tsp")
LIVE = ["sh", "-c", "tsp -l | grep -vw finished"]
EXECUTOR = {"kind": "command", "poll_every": 0.2, "answer_timeout": 5,
            "submit": ["tsp", "-L", "{name}", "bash", "{script}"],
            "poll": LIVE,
            "cancel": ["sh", "-c", "tsp -r {job} || tsp -k {job}"]}


def spooled_sweep(executor=None, **changes):
    return tiny_sweep(executor={**EXECUTOR, **(executor or {})}, **changes)


ONE_RUN = {"model": ["w32"], "samples_seen": [1024]}


@unittest.skipIf(TSP is None, "task-spooler is not installed")
class CommandExecutorTest(SweepTest):
    TIMEOUT = 120

    def setUp(self):
        super().setUp()
        self.ledger = self.path("ledger")
        for name, value in (("TS_SOCKET", self.path("socket")), ("TMPDIR", self.folder), ("TS_SLOTS", "2"),
                            ("TINY_TRAINER_LEDGER", self.ledger)):
            os.environ[name] = value
            self.addCleanup(os.environ.pop, name)

    def tearDown(self):
        subprocess.run(["tsp", "-K"], check=False)

    def take_time(self, seconds):
        """Of each of a run's five steps. A job's environment is that of whoever submits it."""
        os.environ["TINY_TRAINER_STEP_SECONDS"] = str(seconds)
        self.addCleanup(os.environ.pop, "TINY_TRAINER_STEP_SECONDS")

    def start_sweep(self, file):
        process = subprocess.Popen(self.command("run", file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        return process

    def lists(self, state):
        return state in subprocess.run(["tsp", "-l"], capture_output=True, text=True).stdout

    def deeds(self, kind):
        if not os.path.exists(self.ledger):
            return []
        with open(self.ledger) as file:
            return [line.split()[1] for line in file if line.startswith(kind)]

    def runs(self):
        return self.sweep_json("status")["sweeps"][0]["runs"]

    def submissions(self):
        return os.listdir(os.path.join(self.store, "submissions"))

    def accepted(self):
        return len(glob.glob(os.path.join(self.store, "submissions/*/accepted")))

    def assert_each_run_trained_once(self, runs=6, attempts=1):
        self.assertEqual(len(self.deeds("began")), runs)
        self.assertEqual(len(set(self.deeds("published"))), runs)
        if attempts:
            self.assertEqual([run["attempts"] for run in self.runs()], [attempts] * runs)

    def test_a_grid_gives_what_a_local_run_gives(self):
        file = self.write_sweep(spooled_sweep())
        report = self.sweep_json("run", file)
        self.assertEqual((report["completed"], report["failed"]), (6, 0))
        self.assert_each_run_trained_once()
        local = self.path("local")
        self.sweep("run", self.write_sweep(tiny_sweep(), "local.json"), store=local)
        self.assertEqual(self.points(), self.points(store=local))
        self.assertEqual(self.sweep_json("run", file)["already_done"], 6)
        self.assertIn("command job", self.sweep("export", "transitions"))

    def test_a_killed_sweep_is_followed_by_one_that_watches_its_jobs(self):
        self.take_time(0.4)
        file = self.write_sweep(spooled_sweep())
        first = self.start_sweep(file)
        self.wait_until(lambda: self.accepted() == 6)
        first.send_signal(signal.SIGKILL)
        first.wait()
        self.assertEqual(self.sweep_json("run", file)["completed"], 6)
        self.assert_each_run_trained_once()
        self.assertEqual(len(self.submissions()), 6)

    def test_a_sweep_killed_while_it_submits_leaves_nothing_undone_or_done_twice(self):
        self.take_time(0.1)
        env = self.program_first_on_path("tsp", f'[ "$1" = -L ] && sleep 0.3; {TSP} "$@"\n')
        os.environ["PATH"], path = env["PATH"], os.environ["PATH"]
        self.addCleanup(os.environ.__setitem__, "PATH", path)
        file = self.write_sweep(spooled_sweep({"answer_timeout": 2}))
        first = self.start_sweep(file)
        self.wait_until(lambda: self.accepted() == 2)
        first.send_signal(signal.SIGKILL)
        first.wait()
        self.assertEqual(self.sweep_json("run", file)["completed"], 6)
        self.assert_each_run_trained_once(attempts=None)  # those that were not handed over are in a second attempt
        self.assertIn(2, [run["attempts"] for run in self.runs()])

    def test_a_lost_answer_is_not_followed_by_a_second_job(self):
        env = self.program_first_on_path("tsp", f'{TSP} "$@"; [ "$1" = -L ] && sleep 60\n')
        sweep = spooled_sweep({"answer_timeout": 1, "poll": ["sh", "-c", f"{TSP} -l | grep -vw finished"]})
        sweep["grid"] = ONE_RUN
        self.assertEqual(self.sweep_json("run", self.write_sweep(sweep), env=env)["completed"], 1)
        self.assertIn("did not answer in time", self.last_stderr)
        self.assert_each_run_trained_once(1)

    def test_a_job_whose_answer_and_name_are_unknown_is_known_by_what_it_writes(self):
        self.take_time(1)
        env = self.program_first_on_path("tsp", f'{TSP} "$@" >/dev/null; echo thank you\n')
        # A list without names, as many a scheduler's.
        poll = ["sh", "-c", f"{TSP} -l | grep -vw finished | cut -c1-16"]
        sweep = spooled_sweep({"answer_timeout": 1, "poll": poll}, grid=ONE_RUN)
        self.assertEqual(self.sweep_json("run", self.write_sweep(sweep), env=env)["completed"], 1)
        self.assert_each_run_trained_once(1)

    def test_a_submission_sent_twice_trains_once(self):
        env = self.program_first_on_path("tsp", f'[ "$1" = -L ] && {TSP} "$@" >/dev/null; {TSP} "$@"\n')
        self.assertEqual(self.sweep_json("run", self.write_sweep(spooled_sweep()), env=env)["completed"], 6)
        self.assert_each_run_trained_once()

    def test_a_scheduler_that_refuses_now_is_asked_again_and_for_ever_is_told(self):
        env = self.program_first_on_path("tsp", 'if [ "$1" = -L ] && [ ! -e $TMPDIR/asked ]; then touch $TMPDIR/asked; '
                                        f'echo "queue full" >&2; exit 1; fi; {TSP} "$@"\n')
        self.assertEqual(self.sweep_json("run", self.write_sweep(spooled_sweep(grid=ONE_RUN)), env=env)["completed"], 1)
        self.assertIn("queue full", self.last_stderr)
        no = spooled_sweep({"submit": ["sh", "-c", "echo no such queue >&2; exit 3", "{script}"]}, name="no")
        self.sweep("run", self.write_sweep(no, "no.json"), expect=2)
        self.assertIn("no such queue", self.last_stderr)
        absent = spooled_sweep({"submit": ["qsub-of-nowhere", "{script}"]}, name="absent")
        self.sweep("run", self.write_sweep(absent, "absent.json"), expect=2)
        self.assertIn("qsub-of-nowhere", self.last_stderr)
        self.assertEqual(self.sweep_json("run", self.write_sweep(spooled_sweep()))["completed"], 5)

    def test_a_job_that_is_taken_away_goes_on_in_a_new_attempt(self):
        self.take_time(1)
        process = self.start_sweep(self.write_sweep(spooled_sweep(grid=ONE_RUN)))
        self.wait_until(lambda: self.deeds("began"))
        subprocess.run(["tsp", "-k", "0"], check=True)
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertEqual([run["attempts"] for run in self.runs()], [2])
        (before,) = glob.glob(os.path.join(self.store, "runs/*/attempts/1/exit"))
        with open(before) as file:
            self.assertEqual(file.read().split(), ["143", "preempted"])

    def test_a_job_that_vanished_without_a_trace_is_started_anew(self):
        self.take_time(1)
        process = self.start_sweep(self.write_sweep(spooled_sweep(grid=ONE_RUN)))
        self.wait_until(lambda: self.deeds("began"))
        shell = subprocess.run(["tsp", "-p", "0"], check=True, capture_output=True, text=True).stdout.strip()
        os.killpg(int(shell), signal.SIGKILL)
        self.assertEqual(process.wait(timeout=60), 0)
        self.assertEqual([run["attempts"] for run in self.runs()], [2])

    def test_a_list_that_fails_calls_nobody_dead(self):
        self.take_time(0.4)
        poll = ["sh", "-c", f"[ -e {self.path('up')} ] || exit 1; {LIVE[2]}"]
        process = self.start_sweep(self.write_sweep(spooled_sweep({"poll": poll})))
        self.wait_until(lambda: len(self.deeds("published")) >= 2)
        open(self.path("up"), "w").close()
        self.assertEqual(process.wait(timeout=60), 0)
        self.assert_each_run_trained_once()

    def test_cancelled_jobs_stay_so_until_they_are_wanted_again(self):
        self.take_time(2)
        file = self.write_sweep(spooled_sweep())
        process = self.start_sweep(file)
        self.wait_until(lambda: len(self.deeds("began")) == 2 and self.lists("queued"))
        self.assertEqual(self.sweep_json("cancel", "--all", "--sweep", file)["cancelled"], 6)
        self.assertEqual(process.wait(timeout=60), 3)
        self.assertEqual(self.sweep_json("status")["sweeps"][0]["runs_by_state"], {"cancelled": 6})
        self.assertEqual(len(self.deeds("began")), 2)

    def test_mistakes_in_the_words_are_told_with_their_place(self):
        for change, words in (({"submit": ["tsp", "{scirpt}"]}, "did you mean 'script'"),
                              ({"submit": ["tsp", "x"]}, "{script}, which is the job"),
                              ({"submit": ["tsp", "{script}", "{walltime}"]}, "time_limit"),
                              ({"poll": []}, "poll"),
                              ({"cancel": ["kill", "{pid}"]}, "/executor/cancel"),
                              ({"job_pattern": "("}, "regular expression")):
            with self.subTest(change=change):
                self.sweep("validate", self.write_sweep(spooled_sweep(change)), expect=2)
                self.assertIn(words, self.last_stderr)


if __name__ == "__main__":
    unittest.main()
