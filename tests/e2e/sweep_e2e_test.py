"""`sweep` as a user meets it, with a trainer of one's own in place of clip_train."""
import json
import os
import signal
import subprocess
import time
import unittest

from harness import SweepTest, TINY_TRAINER, tiny_sweep, tiny_model


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
        self.assertIn("has no attempt 7, only 1 to 2", self.last_stderr)
        self.sweep("logs", "xyz", expect=2)
        self.assertIn("no run in", self.last_stderr)
        self.sweep("logs", "", expect=2)
        self.assertIn("2 runs begin with ''", self.last_stderr)

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
        runs = os.path.join(self.store, "runs")
        self.wait_until(lambda: os.path.isdir(runs) and os.listdir(runs))
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
        self.assertEqual(self.sweep_json("status")["sweeps"], [])
        self.sweep("run", file, "--max-gpu-hours", "1000")
        self.sweep("plan", file, "--max-gpu-hours", "0")  # nothing is left to pay for

    def test_status_holds_the_prediction_against_what_it_took_and_says_what_is_left(self):
        sweep = tiny_sweep(trainer=self.bench_trainer(), evaluations=[])
        fails_on_w64 = f"grep -q '\"width\": *64' $0/spec.json && exit 2; exec {' '.join(TINY_TRAINER)} $0 $1"
        file = self.write_sweep(sweep)
        self.sweep("plan", file, "--probe")
        sweep["trainer"]["command"] = ["/bin/sh", "-c", fails_on_w64]
        self.sweep("run", self.write_sweep(sweep), expect=3, env={"TINY_TRAINER_STEP_SECONDS": "0.02"})
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
