"""`sweep` as a user meets it, with a trainer of one's own in place of clip_train."""
import json
import os
import re
import shutil
import signal
import subprocess
import time
import unittest

from harness import SOURCE, SWEEP, SweepTest, TINY_TRAINER, tiny_sweep, tiny_model


class RunTest(SweepTest):
    def starts_of_training(self):
        transitions = self.sweep("export", "transitions").splitlines()[1:]
        return sum("submitting" in line.split(",")[4] for line in transitions)

    def test_own_trainer_runs_the_grid_and_a_second_run_does_nothing(self):
        file = self.write_sweep(tiny_sweep())
        report = self.sweep_json("run", file)
        self.assertEqual((report["completed"], report["failed"]), (6, 0))
        # The tiny trainer reports three metrics for each of the two evaluations.
        self.assertEqual(len(self.points()), 6 * 2 * 3)
        started = time.time()
        report = self.sweep_json("run", file)
        self.assertEqual((report["already_done"], report["completed"]), (6, 0))
        self.assertLess(time.time() - started, 2.0)

    def test_a_new_grid_value_runs_only_what_is_new(self):
        self.sweep("run", self.write_sweep(tiny_sweep()))
        grid = {"model": ["w32", "w64"], "samples_seen": [1024, 4096, 16384, 65536]}
        report = self.sweep_json("run", self.write_sweep(tiny_sweep(grid=grid)))
        self.assertEqual((report["already_done"], report["completed"]), (6, 2))

    def test_the_store_keeps_the_sweep_file_of_a_sweep(self):
        sweep = tiny_sweep()
        report = self.sweep_json("run", self.write_sweep(sweep))
        with open(os.path.join(self.store, "sweeps", report["sweep_id"] + ".json")) as file:
            self.assertEqual(json.load(file)["source"], sweep)

    def test_two_sweeps_share_the_runs_they_both_contain(self):
        self.sweep("run", self.write_sweep(tiny_sweep()))
        grid = {"model": ["w64"], "samples_seen": [1024, 2048]}
        report = self.sweep_json("run", self.write_sweep(tiny_sweep(name="other", grid=grid), "other.json"))
        self.assertEqual((report["already_done"], report["completed"]), (1, 1))

    def test_a_new_evaluation_trains_nothing(self):
        self.sweep("run", self.write_sweep(tiny_sweep(evaluations=["fashion_items"])))
        before = self.sweep_json("status")["sweeps"][0]["runs"]
        plan = self.sweep_json("plan", self.write_sweep(tiny_sweep()))
        self.assertEqual((plan["to_train"], plan["to_evaluate"]), (0, 6))
        self.sweep("run", self.write_sweep(tiny_sweep()))
        after = self.sweep_json("status")["sweeps"][-1]["runs"]
        self.assertEqual([run["evaluations"] for run in before], [1] * 6)
        self.assertEqual([run["evaluations"] for run in after], [2] * 6)
        self.assertEqual(self.starts_of_training(), 6)

    def test_linked_runs_go_in_order(self):
        sweep = tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024]},
                           include=[{"model": "w32", "samples_seen": 2048, "start": {"from": {"samples_seen": 1024}}}])
        report = self.sweep_json("run", self.write_sweep(sweep))
        self.assertEqual(report["completed"], 2)
        rows = [json.loads(line) for line in self.points()]
        self.assertEqual({row["samples_seen"] for row in rows}, {1024, 3072})

    def test_a_trainer_that_fails_gives_exit_code_3_and_says_where_to_look(self):
        sweep = tiny_sweep(trainer={"command": ["/bin/sh", "-c", "echo broken >&2; exit 9"]})
        out = self.sweep("run", self.write_sweep(sweep), expect=3)
        self.assertIn("exit code 9", out)
        self.assertIn("stderr.log", out)
        self.assertEqual(self.sweep_json("status")["sweeps"][0]["runs_by_state"], {"failed": 6})

    def test_a_fit_says_which_models_have_no_result(self):
        script = f"grep -q '\"width\": *64' $0/spec.json && exit 9; exec {' '.join(TINY_TRAINER)} $0 $1"
        sweep = tiny_sweep(trainer={"command": ["/bin/sh", "-c", script]})
        self.sweep("run", self.write_sweep(sweep), expect=3)
        fit = self.sweep_json("fit", "--metric", "acc1", "--where", "eval_dataset=fashion_items")["fits"][0]
        self.assertEqual(fit["n"], 3)
        self.assertTrue(any("3 failed of w64" in warning for warning in fit["warnings"]), fit["warnings"])

    def test_a_forecast_is_sealed_before_its_run_and_scored_after_it(self):
        self.sweep("run", self.write_sweep(tiny_sweep()))
        larger = tiny_sweep(grid={"model": ["w64"], "samples_seen": [262144]})
        (run,) = self.sweep_json("plan", self.write_sweep(larger, "larger.json"))["runs"]
        words = ["--metric", "acc1", "--where", "eval_dataset=fashion_items", "--at", f"C={run['compute_gmacs']!r}"]
        self.sweep("forecast", "--seal", *words)
        self.assertEqual(self.sweep_json("forecast", "--score")["record"]["scored"], 0)
        self.sweep("run", self.path("larger.json"))
        self.assertIn("the result exists", self.sweep("forecast", "--seal", *words, expect=6) + self.last_stderr)
        listed = self.sweep_json("forecast", "--score")
        self.assertEqual(listed["record"]["scored"], 1)
        self.assertIn(listed["forecasts"][0]["state"], ("hit", "miss"))
        self.sweep("db", "rebuild")
        self.assertEqual(self.sweep_json("forecast", "list"), listed)

    def test_logs_prints_what_a_trainer_said(self):
        sweep = tiny_sweep(trainer={"command": ["/bin/sh", "-c", "echo working; echo broken >&2; exit 9"]},
                           grid={"model": ["w32"], "samples_seen": [1024, 4096]})
        self.sweep("run", self.write_sweep(sweep), expect=3)
        run = self.sweep_json("status")["sweeps"][0]["runs"][0]["run_id"]
        log = self.sweep("logs", run)
        self.assertIn("working", log)
        self.assertIn("broken", log)
        self.sweep("logs", run, "--attempt", "7", expect=2)
        self.assertIn("has no attempt 7, only 1 to 1", self.last_stderr)
        self.sweep("logs", "xyz", expect=2)
        self.assertIn("begins with 'xyz'", self.last_stderr)
        self.sweep("logs", "", expect=2)
        self.assertIn("more than one run begins with ''", self.last_stderr)

    def test_laws_are_fitted_anew_while_runs_are_at_work(self):
        # The longest run waits for a file; the others are enough for a law.
        go = self.path("go")
        wait = ("import json, os, sys, time\n"
                "spec = json.load(open(os.path.join(sys.argv[1], 'spec.json')))['spec']\n"
                f"while spec['samples_seen'] > 10000 and not os.path.exists({go!r}): time.sleep(0.05)\n"
                f"os.execv({TINY_TRAINER[0]!r}, {TINY_TRAINER!r} + sys.argv[1:])\n")
        trainer = [TINY_TRAINER[0], "-c", wait]
        sweep = tiny_sweep(trainer={"command": trainer}, fits=[{"law": "power"}],
                           executor={"kind": "local", "slots": 6, "fits_every": 0})
        running = subprocess.Popen(self.command("run", self.write_sweep(sweep)), stderr=subprocess.PIPE, text=True,
                                   stdout=subprocess.DEVNULL)
        self.addCleanup(running.kill)
        deadline = time.time() + 60
        fits = []
        while time.time() < deadline and not any(fit["n"] == 4 for fit in fits):
            time.sleep(0.1)
            if self.has_started():  # the database is there a little before its tables
                fits = [fit for sweep in self.sweep_json("status")["sweeps"] for fit in sweep["fits"]]
        self.assertEqual({fit["n"] for fit in fits}, {4})
        self.assertIsNone(running.poll())
        self.assertIn("laws,", self.sweep("status"))
        open(go, "w").close()
        _, errors = running.communicate(timeout=60)
        self.assertIn("laws fitted to the runs so far", errors)
        self.assertEqual({fit["n"] for fit in self.sweep_json("status")["sweeps"][0]["fits"]}, {6})

    def test_profiles_of_user_and_project_stand_where_the_sweep_file_is_silent(self):
        os.makedirs(self.path("config/sweep"))
        def profile(name, **sections):
            with open(self.path(name), "w") as out:
                json.dump(sections, out)
        sweep = tiny_sweep()
        del sweep["executor"]["slots"], sweep["trainer"]
        profile("config/sweep/profile.json", executor={"slots": 1, "max_attempts": 5, "kind": "slurm"},
                trainer={"command": ["/no/such/trainer"]})
        profile("sweep-profile.json", trainer={"command": TINY_TRAINER})
        self.assertEqual(self.sweep_json("plan", self.write_sweep(sweep))["profiles"],
                         [self.path("config/sweep/profile.json"), self.path("sweep-profile.json")])
        self.assertEqual(self.sweep_json("run", self.write_sweep(sweep))["completed"], 6)  # local, by the tiny trainer
        profile("sweep-profile.json", trainer={"command": TINY_TRAINER}, executer={})
        self.sweep("run", self.write_sweep(sweep), expect=2)
        self.assertIn("sweep-profile.json:1: /executer", self.last_stderr)
        self.assertIn("did you mean 'executor'", self.last_stderr)
        self.sweep("validate", self.write_sweep(sweep), expect=2)

    def test_a_detached_run_outlives_its_caller_and_a_second_is_told_who_holds_the_store(self):
        slow = [TINY_TRAINER[0], "-c", f"import os, sys, time; time.sleep(1); "
                                       f"os.execv({TINY_TRAINER[0]!r}, {TINY_TRAINER!r} + sys.argv[1:])"]
        sweep = self.write_sweep(tiny_sweep(trainer={"command": slow}))
        caller = subprocess.run(self.command("run", sweep, "--detach", "--json"), capture_output=True, text=True,
                                start_new_session=True, timeout=60)
        self.assertEqual(caller.returncode, 0, caller.stderr)
        detached = json.loads(caller.stdout)
        self.assertNotEqual(os.getsid(detached["pid"]), os.getsid(0))
        self.sweep("run", sweep, "--detach", expect=5)
        self.assertIn(f"process {detached['pid']}", self.last_stderr)
        self.sweep("watch")  # until nobody works on it
        self.assertEqual(self.sweep_json("status")["sweeps"][0]["runs_by_state"], {"completed": 6})
        with open(detached["log"]) as log:
            self.assertIn('"completed": 6', log.read())

    def test_a_detached_run_with_a_mistake_says_so_at_once(self):
        with open(self.path("wrong.json"), "w") as out:
            out.write('{"version": 1, "nome": "x"}')
        self.sweep("run", self.path("wrong.json"), "--detach", expect=2)
        self.assertIn("did you mean 'name'", self.last_stderr)

    def test_suggested_runs_are_a_sweep_file_that_tells_fits_of_itself(self):
        lengths = [1024 * 2**k for k in range(8)]
        self.sweep("run", self.write_sweep(tiny_sweep(
            grid={"model": ["w32", "w64"], "samples_seen": lengths[:2]})))
        grid = self.write_sweep(tiny_sweep(grid={"model": ["w32", "w64"], "samples_seen": lengths}), "grid.json")
        ask = ("suggest", grid, "--metric", "acc1", "--at", "C=1e6")
        first = self.sweep_json(*ask, "--count", "3", "--write", self.path("next.json"))
        self.assertEqual((first["open_runs"], len(first["runs"])), (12, 3))
        for question in first["questions"]:
            self.assertLess(question["sd_after"], 0.5 * question["sd_before"])
        with open(self.path("next.json")) as text:
            self.assertEqual(json.load(text)["only"], [run["run_id"] for run in first["runs"]])
        self.sweep(*ask, "--write", self.path("next.json"), expect=2)
        self.assertIn("never replaces a file", self.last_stderr)

        self.assertEqual(self.sweep_json("run", self.path("next.json"))["completed"], 3)
        fits = self.sweep_json("fit", "--metric", "acc1")["fits"]
        for fit in fits:
            self.assertIn("3 of 7 points are of runs chosen by the results of earlier ones", " ".join(fit["warnings"]))
        second = self.sweep_json(*ask, "--count", "20")
        self.assertEqual(second["open_runs"], 9)
        self.assertFalse({run["run_id"] for run in first["runs"]} & {run["run_id"] for run in second["runs"]})

        # The mark is in the files, so it survives the database.
        self.sweep("db", "rebuild")
        self.assertIn("chosen by the results", json.dumps(self.sweep_json("fit", "--metric", "acc1")))

    def test_a_suggestion_keeps_to_its_budget_and_says_what_it_lacks(self):
        grid = self.write_sweep(tiny_sweep())
        self.sweep("suggest", grid, "--at", "C=1e6", expect=2)
        self.assertIn("run a sweep first", self.last_stderr)
        self.sweep("run", self.write_sweep(tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024]}), "seed.json"))
        self.sweep("suggest", grid, "--at", "C=1e6", expect=6)
        self.assertIn("cannot determine the 2 parameters of law power", self.last_stderr)
        self.sweep("run", self.write_sweep(tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024, 4096]}), "seed.json"))
        everything = self.sweep_json("suggest", grid, "--at", "C=1e6", "--count", "9")
        hours = {run["run_id"]: run["device_hours"] for run in everything["runs"]}
        self.assertEqual(len(hours), 4)
        budget = min(hours.values()) * 1.5
        chosen = self.sweep_json("suggest", grid, "--at", "C=1e6", "--budget", str(budget))["runs"]
        self.assertEqual(len(chosen), 1)
        self.assertLessEqual(sum(run["device_hours"] for run in chosen), budget)
        self.sweep("suggest", grid, "--at", "C=1e6", "--budget", str(budget / 1000), expect=4)
        self.sweep("suggest", grid, expect=2)
        self.assertIn("one target", self.last_stderr)

    def test_a_missing_trainer_is_a_usage_error(self):
        self.sweep("run", self.write_sweep(tiny_sweep(trainer={"command": ["/no/such/trainer"]})), expect=2)
        self.assertIn("/no/such/trainer", self.last_stderr)
        report = self.sweep_json("run", self.write_sweep(tiny_sweep()))
        self.assertEqual(report["completed"], 6)

    def test_a_second_writer_is_told_who_holds_the_store(self):
        slow = {"TINY_TRAINER_STEP_SECONDS": "0.2"}
        file = self.write_sweep(tiny_sweep())
        first = subprocess.Popen(self.command("run", file), env={**os.environ, **slow}, stderr=subprocess.DEVNULL,
                                 stdout=subprocess.DEVNULL)
        self.addCleanup(first.wait)
        self.wait_until(self.has_started)
        self.sweep("run", file, expect=5)
        self.assertIn(f"process {first.pid}", self.last_stderr)
        self.assertTrue(self.sweep("status"))
        self.assertEqual(first.wait(), 0)

    def test_ctrl_c_stops_cleanly_and_the_next_run_goes_on(self):
        file = self.write_sweep(tiny_sweep())
        slow = {"TINY_TRAINER_STEP_SECONDS": "0.1"}
        first = subprocess.Popen(self.command("run", file), env={**os.environ, **slow}, stderr=subprocess.PIPE,
                                 stdout=subprocess.PIPE, text=True)
        self.assertIn("completed", first.stderr.readline())
        first.send_signal(signal.SIGINT)
        out, _ = first.communicate(timeout=60)
        self.assertEqual(first.returncode, 130)
        self.assertIn("interrupted", out)
        states = self.sweep_json("status")["sweeps"][0]["runs_by_state"]
        self.assertEqual(set(states), {"completed", "planned"})
        first_starts = self.starts_of_training()
        report = self.sweep_json("run", file)
        # Each trained run is kept; one that the stop caught between training and evaluation has its
        # evaluation left to do.
        self.assertEqual(report["already_done"] + report["completed"], 6)
        self.assertGreaterEqual(report["already_done"], 1)
        self.assertEqual(self.starts_of_training() - first_starts, states["planned"])

    def test_a_rebuilt_database_gives_the_same_points(self):
        self.sweep("run", self.write_sweep(tiny_sweep()))
        before = self.points()
        os.unlink(os.path.join(self.store, "sweep.db"))
        self.sweep("db", "rebuild")
        self.assertEqual(self.points(), before)
        self.assertEqual(self.sweep_json("run", self.write_sweep(tiny_sweep()))["already_done"], 6)

    def test_a_damaged_event_line_is_reported_and_loses_nothing_else(self):
        file = self.write_sweep(tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024]}))
        self.sweep("run", file)
        run = os.path.join(self.store, "runs", os.listdir(os.path.join(self.store, "runs"))[0])
        events = os.path.join(run, "attempts/1/events.jsonl")
        with open(events) as file:
            text = file.read()
        with open(events, "w") as file:
            file.write(text.replace('"step": 2', '"step": 7', 1))
        self.sweep("db", "rebuild")
        self.assertIn("damaged", self.last_stderr)
        self.assertEqual(len(self.sweep("export", "steps").splitlines()), 1 + 4)
        self.assertEqual(len(self.points()), 6)


class CostTest(SweepTest):
    def bench_trainer(self):
        """The tiny trainer, with a bench that knows what it wants to say."""
        path = self.path("trainer.sh")
        with open(path, "w") as out:
            out.write(f"""#!/bin/sh
[ "$1" = bench ] && {{ echo '{{"images_per_second": 500.0, "device": "cpu"}}'; exit; }}
exec {' '.join(TINY_TRAINER)} "$@"
""")
        os.chmod(path, 0o755)
        return {"command": [path], "device": "cpu"}

    def sources(self, plan):
        return {run["cost"]["source"] for run in plan["runs"]}

    def test_the_source_of_a_cost_goes_from_assumed_to_probed_to_measured(self):
        sweep = tiny_sweep(trainer=self.bench_trainer(), evaluations=[])
        file = self.write_sweep(sweep)
        plan = self.sweep_json("plan", file)
        self.assertEqual(self.sources(plan), {"assumed"})
        self.assertEqual(plan["cost"]["unit"], "core-hours")
        self.assertFalse(os.path.exists(self.store))
        plan = self.sweep_json("plan", file, "--probe")
        self.assertEqual(self.sources(plan), {"probed"})
        self.assertAlmostEqual(plan["cost"]["device_hours"]["middle"], 2 * (1024 + 4096 + 16384) / 500 / 3600)
        self.assertNotIn("probing", self.sweep("plan", file, "--probe") + self.last_stderr)
        self.sweep("run", file, "--max-gpu-hours", "1e-9", expect=4)
        self.assertNotIn("--probe", self.last_stderr)  # it was made already
        self.sweep("run", file)
        sweep["grid"]["samples_seen"].append(65536)
        plan = self.sweep_json("plan", self.write_sweep(sweep))
        self.assertEqual(self.sources(plan), {"measured"})
        self.assertEqual((len(plan["new"]), len(plan["kept"]), len(plan["orphaned"])), (2, 6, 0))

    def test_a_plan_names_the_runs_that_an_edit_left_behind(self):
        self.sweep("run", self.write_sweep(tiny_sweep()))
        grid = {"model": ["w32"], "samples_seen": [1024, 2048]}
        edited = self.write_sweep(tiny_sweep(grid=grid))
        plan = self.sweep_json("plan", edited)
        self.assertEqual((len(plan["new"]), len(plan["kept"]), len(plan["orphaned"])), (1, 1, 5))
        text = self.sweep("plan", edited)
        self.assertIn("1 new, 1 kept, 5 orphaned", text)
        self.assertIn(plan["orphaned"][0][:8], text)

    def test_a_plan_above_the_budget_is_exit_code_4_and_starts_nothing(self):
        file = self.write_sweep(tiny_sweep())
        self.sweep("plan", file, "--max-gpu-hours", "1e-9", expect=4)
        self.sweep("run", file, "--max-gpu-hours", "1e-9", expect=4)
        self.assertIn("core-hours", self.last_stderr)
        self.assertIn("sweep plan --probe", self.last_stderr)
        self.assertEqual(self.sweep_json("status")["sweeps"], [])
        self.sweep("run", file, "--max-gpu-hours", "1000")
        self.sweep("plan", file, "--max-gpu-hours", "0")  # nothing is left to pay for

    def test_status_holds_the_prediction_against_what_it_took_and_says_what_is_left(self):
        sweep = tiny_sweep(trainer=self.bench_trainer(), evaluations=[])
        fails_on_w64 = f"grep -q '\"width\": *64' $0/spec.json && exit 2; exec {' '.join(TINY_TRAINER)} $0 $1"
        file = self.write_sweep(sweep)
        self.sweep("plan", file, "--probe")
        sweep["trainer"]["command"] = ["/bin/sh", "-c", fails_on_w64]
        report = self.sweep_json("run", self.write_sweep(sweep), expect=3, env={"TINY_TRAINER_STEP_SECONDS": "0.02"})
        self.assertAlmostEqual(report["predicted_seconds"], (1024 + 4096 + 16384) / 500)
        self.assertIn(" predicted (", self.sweep("run", self.write_sweep(sweep)))
        (status,) = self.sweep_json("status")["sweeps"]
        self.assertEqual([run["predicted_seconds"] for run in status["runs"] if run["model"] == "w32"],
                         [samples / 500 for samples in (1024, 4096, 16384)])
        cost = status["cost"]
        self.assertEqual((cost["gpu_hours"], cost["at_work"], cost["hours_left"]["high"]), (0, 0, 0))
        self.assertGreater(cost["core_hours"], 3 * 5 * 0.02 / 3600)
        self.assertAlmostEqual(cost["predicted_seconds"], (1024 + 4096 + 16384) / 500)
        self.assertGreater(cost["actual_seconds"], 3 * 5 * 0.02)
        text = self.sweep("status", env={"NO_COLOR": ""})
        self.assertIn("w32  #       #       #\nw64  !       !       !\n", text)
        self.assertNotIn("\x1b", text)
        sweep["grid"]["samples_seen"].append(65536)
        interrupted = subprocess.Popen(self.command("run", self.write_sweep(sweep)), stderr=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL,
                                       env={**os.environ, "TINY_TRAINER_STEP_SECONDS": "1"})
        self.addCleanup(interrupted.wait)
        self.wait_until(lambda: self.sweep_json("status")["sweeps"][-1]["cost"]["at_work"] == 1)
        left = self.sweep_json("status")["sweeps"][-1]["cost"]
        self.assertGreater(left["seconds_left"]["middle"], 0)
        self.assertEqual(left["unit_left"], "core-hours")
        interrupted.send_signal(signal.SIGINT)
        interrupted.wait(60)

    def test_a_trainer_without_a_bench_cannot_be_probed(self):
        file = self.write_sweep(tiny_sweep(trainer={"command": ["/bin/sh", "-c", "echo no >&2; exit 3"]}))
        self.sweep("plan", file, "--probe", expect=2)
        self.assertIn("no probe", self.last_stderr)


class AccountsTest(SweepTest):
    """A Slurm of scripts, whose squeue has forgotten a job: its accounts know how it ended."""

    def tools(self, accounts, state):
        scripts = {
            "scontrol": f"echo 'MaxArraySize = 1001'; echo 'AccountingStorageType = accounting_storage/{accounts}'",
            "sbatch": "echo 4711",
            "squeue": "",
            "sacct": f"""echo "$*" >> {self.path('asked')}
for token in $(ls {self.store}/submissions); do echo "$token|4711_0|{state}"; done""",
        }
        for name, script in scripts.items():
            environment = self.program_first_on_path(name, script)
        return environment

    def failure(self, accounts, state):
        sweep = tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024]}, evaluations=[],
                           executor={"kind": "slurm", "poll_every": 0.05, "answer_timeout": 5, "max_attempts": 1})
        self.sweep("run", self.write_sweep(sweep), expect=3, env=self.tools(accounts, state))
        (run,) = self.sweep_json("status")["sweeps"][0]["runs"]
        return run["failure_class"], run["state"]

    def test_a_job_that_squeue_has_forgotten_ends_as_its_accounts_say(self):
        self.assertEqual(self.failure("slurmdbd", "OUT_OF_MEMORY")[0], "out_of_memory")
        with open(self.path("asked")) as asked:
            self.assertIn("--allocations", asked.read())

    def test_a_cancelled_one_is_not_tried_again(self):
        self.assertEqual(self.failure("slurmdbd", "CANCELLED by 1000")[1], "cancelled")

    def test_without_accounts_it_is_lost(self):
        self.assertNotEqual(self.failure("none", "OUT_OF_MEMORY")[0], "out_of_memory")
        self.assertFalse(os.path.exists(self.path("asked")))


class ResourcesTest(SweepTest):
    """A Slurm of scripts that takes every job and runs none."""

    def submissions(self, executor):
        scripts = {"scontrol": "echo MaxArraySize = 1001", "squeue": "",
                   "sbatch": f"echo \"$*\" >> {self.path('submitted')}; echo 4711"}
        for name, script in scripts.items():
            environment = self.program_first_on_path(name, script)
        grid = {"model": ["w32"], "samples_seen": [1024, 4096, 1 << 40]}
        file = self.write_sweep(tiny_sweep(grid=grid, evaluations=[], executor={"kind": "slurm", **executor}))
        process = subprocess.Popen(self.command("run", file), env={**os.environ, **environment},
                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)

        def jobs():
            if not os.path.exists(self.path("submitted")):
                return []
            with open(self.path("submitted")) as log:
                return log.read().splitlines()

        self.wait_until(lambda: sum(int(re.search(r"--array=0-(\d+)", line)[1]) + 1 for line in jobs()) == 3)
        return jobs()

    def test_jobs_ask_for_what_the_plan_says_of_their_runs(self):
        large, small = self.submissions({"resources_from": "plan"})
        self.assertIn("--array=0-0", large)
        self.assertIn("--array=0-1", small)
        minutes = [int(re.search(r"--time=(\d+)", line)[1]) for line in (large, small)]
        self.assertGreater(minutes[0], 24 * 60)
        self.assertEqual(minutes[1], 15)
        for line in (large, small):
            self.assertIn("--mem=1024M", line)

    def test_the_time_limit_is_the_most_they_ask_for(self):
        lines = self.submissions({"resources_from": "plan", "time_limit": "2h"})
        self.assertEqual([re.search(r"--time=(\d+)", line)[1] for line in lines], ["120", "15"])

    def test_without_the_plan_all_are_one_submission(self):
        (line,) = self.submissions({"time_limit": "2h"})
        self.assertIn("--time=120", line)
        self.assertNotIn("--mem", line)


class ManyRunsTest(SweepTest):
    def test_status_tells_many_runs_as_a_whole_and_counts_as_run_by_run(self):
        grid = {"model": ["w32", "w64"], "samples_seen": [1024, 4096], "seed": list(range(260))}
        file = self.write_sweep(tiny_sweep(grid=grid, evaluations=[], trainer=ExplainTest.BROKEN))
        running = subprocess.Popen(self.command("run", file, "--slots", "4"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.wait_until(lambda: os.path.exists(os.path.join(self.store, "sweep.db")) and os.path.isdir(self.store + "/runs")
                        and len(os.listdir(self.store + "/runs")) > 30)
        running.send_signal(signal.SIGINT)
        running.wait(60)
        overview, listed = self.sweep("status"), self.sweep("status", "--runs")
        (sweep,) = self.sweep_json("status")["sweeps"]
        self.assertEqual(sum(sweep["runs_by_state"].values()), 1040)
        counts = ", ".join(f"{count} {state}" for state, count in sweep["runs_by_state"].items())
        self.assertIn(counts, overview)
        self.assertIn(counts, listed)
        self.assertIn(self.grid_of(listed), overview)
        self.assertLess(overview.count("\n"), 40)
        self.assertGreater(listed.count("\n"), 1040)
        self.assertRegex(overview, r"\n  [0-9a-f]{8}: ")

    def test_ctrl_c_among_runs_of_milliseconds_takes_back_those_that_wait_for_a_slot(self):
        trainer = self.path("trainer.sh")
        with open(trainer, "w") as out:
            out.write("""#!/bin/sh
echo . >> "$0.starts"
printf '{"schema":"sweep.result/1","run_id":"%s","attempt":%s,"outcome":"completed","samples_seen":1024,"final_loss":1}' \
  "${1##*/}" "$2" > "$1/result.tmp" && ln "$1/result.tmp" "$1/result.json"
""")
        os.chmod(trainer, 0o755)
        grid = {"model": ["w32"], "samples_seen": [1024], "seed": list(range(600))}
        file = self.write_sweep(tiny_sweep(grid=grid, evaluations=[], trainer={"command": [trainer]}))
        running = subprocess.Popen(self.command("run", file), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.addCleanup(running.wait)
        self.wait_until(lambda: self.has_started() and len(os.listdir(self.store + "/runs")) > 100)
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(60), 130)
        (sweep,) = self.sweep_json("status")["sweeps"]
        self.assertEqual(set(sweep["runs_by_state"]), {"completed", "planned"})
        self.assertEqual(self.sweep_json("run", file)["completed"], sweep["runs_by_state"]["planned"])
        with open(trainer + ".starts") as starts:
            self.assertLessEqual(len(starts.readlines()), 600 + 2)  # none twice but those the signal ended

    @staticmethod
    def grid_of(status):
        """From the row of the first model in the grid to its legend."""
        lines = status.splitlines()
        legend = next(i for i, line in enumerate(lines) if line.startswith(". planned"))
        return "\n".join(lines[legend - 3:legend + 1])


class ExplainTest(SweepTest):
    """Questions about a sweep while it runs and after it."""
    BROKEN = {"command": ["/bin/sh", "-c", "echo broken >&2; exit 2"]}  # a bad spec: never tried twice

    def run_ids(self, state):
        return [run["run_id"] for sweep in self.sweep_json("status")["sweeps"] for run in sweep["runs"]
                if run["state"] == state]

    def popen(self, *arguments, step_seconds):
        process = subprocess.Popen(self.command(*arguments), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                                   env={**os.environ, "TINY_TRAINER_STEP_SECONDS": str(step_seconds)})
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stderr.close)
        self.addCleanup(process.wait)
        return process

    def test_explain_says_why_a_run_failed_and_what_tells_it_from_its_sibling(self):
        sweep = tiny_sweep(trainer=self.BROKEN, grid={"model": ["w32"], "samples_seen": [1024, 4096]})
        sweep["fixed"]["seed"] = 1
        self.sweep("run", self.write_sweep(sweep), expect=3)
        run = self.run_ids("failed")[0]
        told = self.sweep_json("explain", run[:10])
        self.assertEqual((told["run_id"], told["state"], len(told["attempts"])), (run, "failed", 1))
        self.assertIn("bad_spec", told["why"])
        self.assertEqual([change["to_state"] for change in told["transitions"]], ["submitting", "running", "failed"])
        self.assertEqual(told["nearest"]["differences"], [{"field": "/samples_seen", "ours": "1024", "theirs": "4096"}])
        text = self.sweep("explain", run)
        for words in ("exit code 2", "sweep retry " + run[:8], "\n  samples_seen: 1024 -> 4096\n", "attempt 1 failed",
                      "of sweep tiny: model w32, dataset fashion_scenes,"):
            self.assertIn(words, text)
        self.assertNotIn("{", text)
        self.sweep("explain", "zzz", expect=2)
        self.assertIn("no run of", self.last_stderr)

    def test_the_nearest_sibling_is_nearest_by_ratio(self):
        sweep = tiny_sweep(grid={"model": ["w32"], "samples_seen": [512, 1024, 2048, 16384]}, evaluations=[])
        self.sweep("run", self.write_sweep(sweep))
        runs = {run["samples_seen"]: run["run_id"] for run in self.sweep_json("status")["sweeps"][0]["runs"]}
        for samples, nearest in ((512, 1024), (2048, 1024), (16384, 2048)):
            self.assertEqual(self.sweep_json("explain", runs[samples])["nearest"]["run_id"], runs[nearest])

    def test_explain_keeps_the_reason_of_a_run_that_is_to_be_retried(self):
        sweep = tiny_sweep(trainer=self.BROKEN, grid={"model": ["w32"], "samples_seen": [1024]})
        self.sweep("run", self.write_sweep(sweep), expect=3)
        (run,) = self.run_ids("failed")
        self.sweep("retry", run)
        told = self.sweep_json("explain", run)
        self.assertEqual(told["state"], "planned")
        self.assertIn("It failed in attempt 1 (bad_spec)", told["why"])
        self.assertIn("`sweep retry` asked for another", told["why"])
        self.assertNotIn("checkpoint", told["why"])

    def test_explain_says_that_a_run_waits_for_one_that_failed(self):
        sweep = tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024]}, trainer=self.BROKEN,
                           include=[{"model": "w32", "samples_seen": 2048, "start": {"from": {"samples_seen": 1024}}}])
        self.sweep("run", self.write_sweep(sweep), expect=3)
        (parent,) = self.run_ids("failed")
        (child,) = self.run_ids("planned")
        why = self.sweep_json("explain", child)["why"]
        self.assertIn("waits for run " + parent, why)
        self.assertIn("sweep retry", why)

    def test_an_attempt_carries_its_provenance_through_a_rebuild(self):
        self.sweep("run", self.write_sweep(tiny_sweep()), env={"OMP_NUM_THREADS": "3", "SLURM_JOB_ID": "77"})
        run = self.run_ids("completed")[0]
        provenance = self.sweep_json("explain", run)["attempts"][0]["provenance"]
        self.assertEqual(provenance["machine"]["environment"], {"OMP_NUM_THREADS": "3", "SLURM_JOB_ID": "77"})
        self.assertEqual(provenance["command"][:2], [SWEEP, "run"])
        commit = subprocess.run(["git", "-C", SOURCE, "cat-file", "-t", provenance["build"]["commit"]],
                                capture_output=True, text=True).stdout.strip()
        self.assertIn(commit, ("commit", ""))
        self.assertIn(provenance["build"]["dirty"], (True, False))
        exported = self.sweep("export", "attempts", "--format", "jsonl").splitlines()
        self.assertEqual(json.loads(json.loads(exported[0])["provenance"])["command"][:2], [SWEEP, "run"])
        self.sweep("db", "rebuild")
        self.assertEqual(self.sweep_json("explain", run)["attempts"][0]["provenance"], provenance)

    def test_retry_plans_failed_runs_again(self):
        sweep = tiny_sweep(trainer=self.BROKEN)
        self.sweep("run", self.write_sweep(sweep), expect=3)
        failed = self.run_ids("failed")
        self.sweep("retry", expect=2)
        self.assertEqual(self.sweep_json("retry", failed[0][:10])["runs"], failed[:1])
        self.assertEqual(self.run_ids("planned"), failed[:1])
        self.sweep("retry", failed[0], expect=2)
        self.assertIn("is planned", self.last_stderr)
        self.assertEqual(sorted(self.sweep_json("retry", "--failed")["runs"]), sorted(failed[1:]))
        report = self.sweep_json("run", self.write_sweep(tiny_sweep()))
        self.assertEqual((report["completed"], report["already_done"]), (6, 0))

    def test_retry_asks_the_sweep_that_holds_the_store(self):
        mark = self.path("mended")
        script = f"grep -q '\"width\": *64' $0/spec.json && [ ! -e {mark} ] && exit 2; exec {' '.join(TINY_TRAINER)} $0 $1"
        sweep = tiny_sweep(trainer={"command": ["/bin/sh", "-c", script]}, evaluations=[],
                           grid={"model": ["w32", "w64"], "samples_seen": [1024]})
        running = self.popen("run", self.write_sweep(sweep), "--json", step_seconds=1)
        self.wait_until(self.has_started)
        self.wait_until(lambda: self.run_ids("failed"))
        open(mark, "w").close()
        self.assertTrue(self.sweep_json("retry", "--failed")["asked_the_holder"])
        out, _ = running.communicate(timeout=60)
        self.assertEqual(running.returncode, 3)  # it did fail once
        self.assertEqual(json.loads(out)["completed"], 2)
        self.assertEqual(len(self.run_ids("completed")), 2)
        self.assertEqual(os.listdir(os.path.join(self.store, "requests")), [])

    def test_watch_follows_a_sweep_to_its_end(self):
        running = self.popen("run", self.write_sweep(tiny_sweep()), step_seconds=0.2)
        self.wait_until(self.has_started)
        lines = self.sweep("watch", "--every", "0.1").splitlines()
        self.assertIn("6 completed", lines[-1])
        self.assertRegex(lines[-2], r"^\d\d:\d\d:\d\d [0-9a-f]{8} w\d\d fashion_scenes: running -> completed, attempt 1")
        self.assertNotIn("\x1b", "".join(lines))
        running.communicate(timeout=60)
        self.assertEqual(self.sweep("watch").count("\n"), 1)
        summary = json.loads(self.sweep("watch", "tiny", "--json").splitlines()[-1])
        self.assertEqual(summary["runs_by_state"], {"completed": 6})
        self.sweep("watch", "absent", expect=6)

    def test_watch_ends_with_3_where_runs_failed(self):
        self.sweep("run", self.write_sweep(tiny_sweep(trainer=self.BROKEN)), expect=3)
        self.assertIn("6 failed", self.sweep("watch", expect=3))


class HousekeepingTest(SweepTest):
    def add_checkpoint(self, run, samples, name=None):
        folder = os.path.join(self.store, "runs", run, "attempts/1/checkpoints", name or f"{samples:012d}")
        os.makedirs(folder)
        with open(os.path.join(folder, "model.safetensors"), "w") as out:
            out.write("x" * 1000)
        return folder

    def test_gc_lists_first_and_removes_only_what_nothing_needs(self):
        sweep = tiny_sweep(grid={"model": ["w32"], "samples_seen": [4096]},
                           include=[{"model": "w32", "samples_seen": 1024,
                                     "start": {"from": {"samples_seen": 4096}, "at": 2048}}])
        parent_id = next(run["run_id"] for run in self.sweep_json("plan", self.write_sweep(sweep))["runs"]
                         if not run["parent_run_id"])
        self.sweep("run", self.path("sweep.json"))
        old, needed = self.add_checkpoint(parent_id, 1024), self.add_checkpoint(parent_id, 2048)
        torn, fresh = (self.add_checkpoint(parent_id, 0, f".writing-00000000{n}") for n in (1, 2))
        os.utime(torn, (1, 1))
        os.makedirs(os.path.join(self.store, "runs", "0" * 32))
        listed = self.sweep_json("gc")
        self.assertEqual({(item["kind"], item["path"]) for item in listed["items"]},
                         {("checkpoint", old), ("temporary", torn)})
        self.assertEqual((listed["deleted"], listed["bytes"]), (False, 2000))
        self.assertIn("nothing was removed", self.sweep("gc"))
        self.assertTrue(os.path.exists(old))
        self.assertTrue(self.sweep_json("gc", "--delete")["deleted"])
        last = os.path.join(os.path.dirname(old), f"{4096:012d}")
        self.assertEqual([os.path.exists(path) for path in (old, torn, needed, fresh, last)],
                         [False, False, True, True, True])
        (unlisted,) = self.sweep_json("gc", "--unlisted-runs", "--delete")["items"]
        self.assertEqual((unlisted["kind"], os.path.exists(unlisted["path"])), ("unlisted_run", False))
        self.assertEqual(self.sweep_json("run", self.path("sweep.json"))["already_done"], 2)

    def test_gc_removes_nothing_that_a_symbolic_link_leads_to(self):
        """Checkpoints on a larger disk, a run of another store: links of a store may lead anywhere."""
        sweep = tiny_sweep(grid={"model": ["w32"], "samples_seen": [1024, 4096, 16384]})
        self.sweep("run", self.write_sweep(sweep))
        runs = os.path.join(self.store, "runs")
        elsewhere = self.path("elsewhere")
        os.mkdir(elsewhere)
        links = []
        for run, inside in zip(sorted(os.listdir(runs)), ("", "attempts", "attempts/1/checkpoints")):
            self.add_checkpoint(run, 512)
            temporary = self.add_checkpoint(run, 0, ".writing-000000000001")
            os.utime(temporary, (1, 1))
            moved, link = os.path.join(elsewhere, run), os.path.join(runs, run, inside).rstrip("/")
            os.rename(link, moved)
            os.symlink(moved, link)
            links.append(link)

        def content():
            return sorted(os.path.join(folder, name) for folder, folders, files in os.walk(elsewhere)
                          for name in folders + files)
        before = content()
        self.sweep("gc", "--delete", "--unlisted-runs")
        self.assertEqual(content(), before)
        for link in links:
            self.assertIn(f"{link}: left alone", self.last_stderr)

    def test_gc_leaves_a_run_that_may_go_back_all_its_checkpoints(self):
        sweep = tiny_sweep(grid={"model": ["w32"], "samples_seen": [4096], "on_instability": ["stop", "rewind"]},
                           trainer={"command": ["/bin/false"]})
        self.sweep("run", self.write_sweep(sweep), expect=3)
        runs = self.sweep_json("plan", self.path("sweep.json"), "--retry-failed")["runs"]
        oldest = {run["coordinates"]["on_instability"]:
                  [self.add_checkpoint(run["run_id"], samples) for samples in (1024, 2048, 3072)][0] for run in runs}
        self.assertEqual([item["path"] for item in self.sweep_json("gc")["items"]], [oldest["stop"]])

    def test_gc_does_not_remove_from_under_a_running_sweep(self):
        running = subprocess.Popen(self.command("run", self.write_sweep(tiny_sweep())), stdout=subprocess.DEVNULL,
                                   stderr=subprocess.DEVNULL, env={**os.environ, "TINY_TRAINER_STEP_SECONDS": "0.2"})
        self.addCleanup(running.wait)
        self.wait_until(self.has_started)
        self.sweep("gc", "--delete", expect=5)

    def test_doctor_says_what_is_missing_and_what_to_do(self):
        bare = self.path("bin")
        os.mkdir(bare)
        shutil.copy(SWEEP, os.path.join(bare, "sweep"))
        done = subprocess.run([os.path.join(bare, "sweep"), "doctor", "--store", self.store, "--json"],
                              capture_output=True, text=True, env={**os.environ, "PATH": bare})
        self.assertEqual(done.returncode, 2, done.stderr)
        checks = {check["subject"]: check for check in json.loads(done.stdout)["checks"]}
        self.assertEqual(checks["trainer"]["level"], "fail")
        self.assertIn("scripts/setup", checks["trainer"]["advice"])
        self.assertIn("not installed", checks["slurm"]["finding"])
        self.assertEqual(checks["store"]["level"], "ok")
        self.assertIn("not made yet", checks["store"]["finding"])
        self.assertFalse(os.path.exists(self.store))

    def test_doctor_holds_a_slow_scheduler_and_its_clock_against_us(self):
        tools = self.path("tools")
        os.mkdir(tools)
        for name, text in (("sinfo", "slurm 22.05"), ("scontrol", "Configuration data as of 2020-01-01T00:00:00"),
                           ("clip_train", "clip_train 9 (LibTorch 1)")):
            with open(os.path.join(tools, name), "w") as out:
                out.write(f"#!/bin/sh\necho '{text}'\n")
            os.chmod(os.path.join(tools, name), 0o755)
        path = tools + os.pathsep + os.environ["PATH"]
        done = json.loads(self.sweep("doctor", "--json", env={"PATH": path}))
        found = [(check["subject"], check["level"], check["finding"]) for check in done["checks"]]
        self.assertTrue(any(subject == "clock" and level == "warn" and "scheduler" in finding
                            for subject, level, finding in found), found)
        self.assertIn(("slurm", "ok", "slurm 22.05 answers"), found)


class GpuPackingTest(SweepTest):
    """With an nvidia-smi that lists what a test wants; the trainers are told their GPUs and use none."""

    def run_on(self, gpus, **executor):
        places = self.path("places")
        os.makedirs(places, exist_ok=True)
        listed = "\\n".join(f"{i}, GPU-{i}, NVIDIA H100 80GB HBM3, {mib}" for i, mib in enumerate(gpus))
        env = self.program_first_on_path("nvidia-smi", f"printf '{listed}\\n'\n")
        # A place is a folder while a run works there: two at once cannot both make it.
        trainer = (f'place={places}/$CUDA_VISIBLE_DEVICES; echo $CUDA_VISIBLE_DEVICES >> {places}/all; '
                   f'mkdir $place 2>/dev/null || echo $place >> {places}/shared; sleep 0.2; '
                   f'{" ".join(TINY_TRAINER)} $0 $1; code=$?; rmdir $place 2>/dev/null; exit $code')
        sweep = tiny_sweep(executor={"kind": "local", **executor}, trainer={"command": ["sh", "-c", trainer]})
        env["CUDA_VISIBLE_DEVICES"] = ",".join(str(i) for i in range(len(gpus)))
        report = self.sweep_json("run", self.write_sweep(sweep), env=env)
        self.assertEqual((report["completed"], report["failed"]), (6, 0))
        def lines(name):
            if not os.path.exists(os.path.join(places, name)):
                return []
            with open(os.path.join(places, name)) as file:
                return file.read().split()
        return lines("all"), lines("shared")

    def test_each_run_has_a_gpu_to_itself(self):
        places, shared = self.run_on([81559, 81559])
        self.assertEqual(set(places), {"GPU-0", "GPU-1"})
        self.assertEqual(shared, [])
        self.assertIn("on GPU-1", self.sweep("export", "transitions"))

    def test_more_slots_than_gpus_share_them(self):
        places, shared = self.run_on([81559], slots=3)
        self.assertEqual(set(places), {"GPU-0"})
        self.assertTrue(shared)

    def test_runs_whose_memory_does_not_fit_beside_each_other_wait(self):
        places, shared = self.run_on([1300], slots=3)  # each has 600 MiB before its first tensor
        self.assertEqual(places, ["GPU-0"] * 6)
        self.assertEqual(shared, [])


class MemoryTest(SweepTest):
    """Is what runs take, by its estimate, held against what a GPU has?"""

    def big_sweep(self, **trainer):
        """A run that any GPU has room for and one that takes some 110 GB."""
        large = tiny_model(1024)
        for tower in ("vision", "text"):
            large[tower]["layers"] = 24
        return self.write_sweep(tiny_sweep(
            models={"small": tiny_model(64), "large": large}, grid={"model": ["small", "large"]},
            fixed={"dataset": "fashion_scenes", "global_batch_size": 32768, "learning_rate": 0.001, "precision": "bf16",
                   "samples_seen": "1M"},
            executor={"kind": "local", "gpus_per_run": 8}, trainer={"device": "cuda", **trainer}))

    def test_a_plan_names_the_runs_that_do_not_fit_and_what_would_make_them(self):
        plan = self.sweep_json("plan", self.big_sweep(), "--accelerator", "a100")
        short = plan["memory_shortage"]
        memory = {run["run_id"]: run["cost"]["memory_bytes"] for run in plan["runs"]}
        self.assertEqual((short["gpu"], short["gpu_bytes"]), ("NVIDIA A100", 80e9))
        self.assertEqual(short["runs"], [run for run, bytes in memory.items() if bytes > 80e9])
        self.assertEqual(len(short["runs"]), 1)
        text = self.sweep("plan", self.big_sweep(), "--accelerator", "a100")
        self.assertIn("warning: 1 of 2 runs do not fit the 80 GB of NVIDIA A100: large (1)", text)
        remedy = {key: short["remedy"][key] for key in ("micro_batch", "recompute", "sharding")}
        mended = self.sweep_json("plan", self.big_sweep(**remedy), "--accelerator", "a100")
        self.assertIsNone(mended["memory_shortage"])
        self.assertEqual(mended["cost"]["most_memory_bytes"], short["remedy"]["most_memory_bytes"])
        self.assertIsNone(self.sweep_json("plan", self.big_sweep(), "--accelerator", "core")["memory_shortage"])

    def test_this_machine_has_the_memory_that_its_driver_says(self):
        env = self.program_first_on_path("nvidia-smi", "echo '0, GPU-0, NVIDIA A100-SXM4-40GB, 40960'\n")
        env["CUDA_VISIBLE_DEVICES"] = "0"
        short = self.sweep_json("plan", self.big_sweep(), env=env)["memory_shortage"]
        self.assertEqual((short["gpu"], short["gpu_bytes"]), ("this machine's GPU", 40960 * 2**20))
        env = self.program_first_on_path("nvidia-smi", "echo '0, GPU-0, NVIDIA A100-SXM4-800GB, 819200'\n")
        env["CUDA_VISIBLE_DEVICES"] = "0"
        self.assertIsNone(self.sweep_json("plan", self.big_sweep(), env=env)["memory_shortage"])

    def test_the_published_runs_fit_the_gpus_they_were_made_on(self):
        plan = self.sweep_json("plan", os.path.join(SOURCE, "sweeps/laion_grid.json"), "--accelerator", "a100")
        self.assertIsNone(plan["memory_shortage"])
        self.assertLess(plan["cost"]["most_memory_bytes"], 75e9)


class MistakesTest(SweepTest):
    def test_a_typo_names_file_line_and_the_nearest_field(self):
        file = self.write_sweep(tiny_sweep(grid={"modle": ["w32"], "samples_seen": [1024]}))
        self.sweep("run", file, expect=2)
        self.assertRegex(self.last_stderr, r"sweep\.json:\d+")
        self.assertIn("modle", self.last_stderr)
        self.assertIn("model", self.last_stderr)
        self.assertFalse(os.path.exists(self.store))

    def test_missing_data_is_one_clear_line(self):
        absent = {"scenes": {"extends": "fashion_scenes", "location": "/no/such/folder"}}
        sweep = tiny_sweep(datasets=absent, evaluations=[])
        sweep["fixed"]["dataset"] = "scenes"
        self.sweep("run", self.write_sweep(sweep), expect=6)
        self.assertIn("dataset-fashion-mnist", self.last_stderr)

    def test_a_law_that_does_not_exist_is_refused_before_anything_runs(self):
        self.sweep("run", self.write_sweep(tiny_sweep(fits=[{"law": "powr"}])), expect=2)
        self.assertIn("/fits/0", self.last_stderr)
        self.assertFalse(os.path.exists(self.store))

    def test_a_cluster_that_is_not_there_is_exit_code_8(self):
        file = self.write_sweep(tiny_sweep(executor={"kind": "slurm"}))
        self.sweep("run", file, expect=8, env={"SLURM_CONF": "/dev/null"})
        self.assertIn("scontrol show config", self.last_stderr)

    def test_a_store_that_is_not_there_is_exit_code_6(self):
        self.sweep("status", expect=6)
        self.assertIn("no store", self.last_stderr)


if __name__ == "__main__":
    unittest.main()
