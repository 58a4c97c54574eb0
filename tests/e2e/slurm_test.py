"""`sweep run` on a real Slurm of three virtual nodes, with what clusters do to it."""
import json
import os
import shutil
import signal
import subprocess
import unittest

from harness import TINY_TRAINER
from slurm_harness import ClusterTest, SLOW, slurm_sweep, start_cluster


def setUpModule():
    start_cluster()


class SlurmTest(ClusterTest):
    def test_a_grid_is_one_job_array_and_gives_what_a_local_run_gives(self):
        file = self.write_sweep(slurm_sweep())
        report = self.sweep_json("run", file)
        self.assertEqual((report["completed"], report["failed"]), (6, 0))
        self.assertEqual(len(self.submissions()), 1)
        self.assertEqual(self.attempts(), [1] * 6)
        self.assert_same_as_a_local_run()
        self.assertEqual(self.sweep_json("run", file)["already_done"], 6)
        transitions = self.sweep("export", "transitions")
        self.assertIn("slurm job", transitions)
        self.assertIn("queued", transitions)

    def test_jobs_ask_for_what_the_plan_says_of_their_runs(self):
        grid = {"model": ["w32"], "samples_seen": [1024, 1 << 40]}
        file = self.write_sweep(slurm_sweep(executor={"resources_from": "plan"}, grid=grid, evaluations=[]))
        process = self.start_sweep(file, SLOW)
        self.wait_until(lambda: len(self.jobs()) == 2)
        asked = subprocess.run(["squeue", "--noheader", "--array", "--format=%l %m"], check=True,
                               capture_output=True, text=True).stdout.split("\n")
        process.kill()
        self.assertIn("15:00 1G", [line.strip() for line in asked])
        self.assertEqual(len([line for line in asked if "-" in line.split(" ")[0]]), 1, asked)  # days

    def test_linked_runs_wait_for_their_parents(self):
        sweep = slurm_sweep(grid={"model": ["w32"], "samples_seen": [1024]},
                            include=[{"model": "w32", "samples_seen": 2048,
                                      "start": {"from": {"samples_seen": 1024}}}])
        self.assertEqual(self.sweep_json("run", self.write_sweep(sweep))["completed"], 2)
        self.assertEqual(len(self.submissions()), 2)

    def test_jobs_go_on_without_sweep_and_the_next_one_watches_them(self):
        file = self.write_sweep(slurm_sweep())
        first = self.start_sweep(file, SLOW)
        self.wait_until(lambda: any(job[2] == "RUNNING" for job in self.jobs()))
        first.send_signal(signal.SIGKILL)
        first.wait()
        report = self.sweep_json("run", file, env=SLOW)
        self.assertEqual((report["completed"], report["failed"]), (6, 0))
        self.assertEqual(self.attempts(), [1] * 6)
        self.assertEqual(len(self.submissions()), 1)
        self.assert_same_as_a_local_run()

    def test_ctrl_c_leaves_the_jobs_in_the_queue(self):
        file = self.write_sweep(slurm_sweep())
        first = self.start_sweep(file, SLOW)
        self.wait_until(lambda: any(job[2] == "RUNNING" for job in self.jobs()))
        first.send_signal(signal.SIGINT)
        self.assertEqual(first.wait(timeout=20), 130)
        self.assertEqual(self.sweep_json("run", file)["completed"], 6)
        self.assertEqual(self.attempts(), [1] * 6)

    def test_an_sbatch_whose_answer_is_lost_is_not_repeated(self):
        env = self.program_first_on_path("sbatch", f"{shutil.which('sbatch')} \"$@\" >/dev/null; sleep 60\n")
        report = self.sweep_json("run", self.write_sweep(slurm_sweep({"answer_timeout": 2})), env=env)
        self.assertIn("did not answer in time", self.last_stderr)
        self.assertEqual((report["completed"], report["failed"]), (6, 0))
        self.assertEqual((self.attempts(), len(self.submissions())), ([1] * 6, 1))
        self.assert_same_as_a_local_run()

    def test_an_sbatch_that_answers_garbage_is_looked_for_in_the_queue(self):
        env = self.program_first_on_path("sbatch", f"{shutil.which('sbatch')} \"$@\" >/dev/null; echo welcome\n")
        self.assertEqual(self.sweep_json("run", self.write_sweep(slurm_sweep()), env=env)["completed"], 6)
        self.assertEqual((self.attempts(), len(self.submissions())), ([1] * 6, 1))

    def test_a_job_that_comes_after_it_was_given_up_does_nothing(self):
        # The first sbatch hangs and its job reaches the queue only when another was sent in its place.
        true = shutil.which("sbatch")
        env = self.program_first_on_path("sbatch", f"""
if mkdir {self.path('first')} 2>/dev/null; then
  setsid bash -c 'while [ $(ls {self.store}/submissions | wc -l) -lt 2 ]; do sleep 0.1; done; "$0" "$@" && touch {self.path('late')}' \\
    {true} "$@" >/dev/null 2>&1 &
  sleep 60
fi
exec {true} "$@"
""")
        report = self.sweep_json("run", self.write_sweep(slurm_sweep({"answer_timeout": 2})), env=env)
        self.assertEqual((report["completed"], report["failed"]), (6, 0))
        self.wait_until(lambda: os.path.exists(self.path("late")))
        self.wait_until(lambda: len(self.jobs()) == 12 and all(job[2] == "COMPLETED" for job in self.jobs()))
        self.assertEqual(len(self.submissions()), 2)
        # The first attempts have an intent and nothing else: no trainer was started for them.
        runs = os.path.join(self.store, "runs")
        for run in os.listdir(runs):
            self.assertFalse(os.path.exists(os.path.join(runs, run, "attempts/1/events.jsonl")))
        self.assert_same_as_a_local_run()

    def test_a_controller_that_goes_away_is_waited_for(self):
        file = self.write_sweep(slurm_sweep())
        process = self.start_sweep(file, {"TINY_TRAINER_STEP_SECONDS": "3"})
        self.wait_until(lambda: any(job[2] == "RUNNING" for job in self.jobs()))
        self.cluster.kill_controller()
        self.wait_until(lambda: "squeue" in self.log())
        self.cluster.start_controller()
        self.assertEqual(process.wait(timeout=300), 0)
        self.assertEqual(self.attempts(), [1] * 6)
        self.assert_same_as_a_local_run()

    def test_a_controller_that_is_not_there_is_exit_code_8(self):
        env = {"SLURM_CONF": "/dev/null"}
        self.sweep("run", self.write_sweep(slurm_sweep()), expect=8, env=env)
        self.assertIn("scontrol show config failed", self.last_stderr)

    def test_a_partition_that_does_not_exist_is_a_usage_error(self):
        self.sweep("run", self.write_sweep(slurm_sweep({"partition": "nowhere"})), expect=2)
        self.assertIn("invalid partition", self.last_stderr)
        self.assertEqual(self.sweep_json("run", self.write_sweep(slurm_sweep()))["completed"], 6)

    def test_cancelled_runs_stay_so_until_they_are_retried(self):
        file = self.write_sweep(slurm_sweep())
        process = self.start_sweep(file, SLOW)
        self.wait_until(lambda: any(job[2] == "RUNNING" for job in self.jobs()))
        self.assertGreaterEqual(self.sweep_json("cancel", "--all")["cancelled"], 3)
        self.assertEqual(process.wait(timeout=60), 3)
        self.assertGreaterEqual(self.states()["cancelled"], 3)
        report = self.sweep_json("run", file)
        self.assertEqual(report["completed"], 0)
        self.sweep("run", file, "--retry-failed")
        self.assertEqual(self.states(), {"completed": 6})

    def test_a_run_is_cancelled_whose_task_waits_among_others(self):
        process = self.start_sweep(self.write_sweep(slurm_sweep()), SLOW)
        self.wait_until(lambda: [job[2] for job in self.jobs()].count("PENDING") == 3)
        self.wait_until(lambda: self.states().get("queued") == 3)
        self.sweep("cancel", self.tasks()[4])
        self.assertEqual(process.wait(timeout=60), 3)
        self.assertEqual(self.states(), {"completed": 5, "cancelled": 1})
        self.assertEqual(self.attempts(), [1] * 6)

    def test_a_trainer_that_fails_is_told_with_its_exit_code(self):
        sweep = slurm_sweep(trainer={"command": ["/bin/sh", "-c", "echo broken >&2; exit 9"]},
                            grid={"model": ["w32"], "samples_seen": [1024]})
        out = self.sweep("run", self.write_sweep(sweep), expect=3)
        self.assertIn("exit code 9", out)

    def test_a_sweep_with_jobs_in_the_queue_is_not_run_elsewhere(self):
        file = self.write_sweep(slurm_sweep())
        process = self.start_sweep(file, SLOW)
        self.wait_until(lambda: any(job[2] == "RUNNING" for job in self.jobs()))
        process.send_signal(signal.SIGINT)
        process.wait(timeout=20)
        self.sweep("run", file, "--executor", "local", expect=5)
        self.assertIn("is with the executor slurm", self.last_stderr)
        self.assertEqual(self.sweep_json("run", file)["completed"], 6)


class RealTrainingOnSlurmTest(ClusterTest):
    """The real trainer, with everything a cluster does to it in the middle: a preemption, a time limit, the requeue after
    each, a restart of the controller. In the end the results are those of an undisturbed run, digit by digit."""
    TIMEOUT = 600
    SAMPLES = int(os.environ.get("SLURM_TEST_SAMPLES", "400000"))

    def sweep_file(self, executor, name):
        sweep = {"version": 1, "name": "real", "executor": executor,
                 "grid": {"model": ["scenes-s"], "samples_seen": [self.SAMPLES], "seed": [0, 1]},
                 "fixed": {"dataset": "fashion_scenes", "global_batch_size": 128, "learning_rate": 0.001},
                 "evaluations": ["fashion_items"]}
        return self.write_sweep(sweep, name)

    def has_trained(self, run):
        path = os.path.join(self.store, "runs", run, "attempts/1/events.jsonl")
        if not os.path.exists(path):
            return False
        with open(path) as events:
            return '"type":"step"' in events.read()

    def starts(self):
        """samples_seen at which each start of a trainer went on; None from scratch."""
        runs = os.path.join(self.store, "runs")
        lines = []
        for run in os.listdir(runs):
            with open(os.path.join(runs, run, "attempts/1/events.jsonl")) as events:
                lines += events.readlines()
        return [event.get("resumed_from") for event in map(json.loads, lines) if event["type"] == "started"]

    def test_two_nodes_train_one_run_together(self):
        sweep = {"version": 1, "name": "together", "grid": {"model": ["scenes-s"], "samples_seen": [16384]},
                 "fixed": {"dataset": "fashion_scenes", "global_batch_size": 128, "learning_rate": 0.001},
                 "evaluations": ["fashion_items"]}
        together = {"kind": "slurm", "poll_every": 1, "processes_per_run": 2, "nodes_per_run": 2}
        self.sweep("run", self.write_sweep({**sweep, "executor": together}))
        (run,) = os.listdir(os.path.join(self.store, "runs"))
        with open(os.path.join(self.store, "runs", run, "attempts/1/events.jsonl")) as events:
            self.assertEqual(json.loads(events.readline())["processes"], 2)
        self.assertEqual([job[2] for job in self.jobs()], ["COMPLETED"])
        local = self.path("local")
        self.sweep("run", self.write_sweep({**sweep, "executor": {"kind": "local"}}, "local.json"), store=local)
        for here, there in zip(self.points(), self.points(store=local)):
            self.assertAlmostEqual(json.loads(here)["value"], json.loads(there)["value"], delta=0.03)

    def test_a_time_limit_over_several_processes_saves_and_queues_again(self):
        sweep = {"version": 1, "name": "limited", "grid": {"model": ["scenes-s"], "samples_seen": [1 << 30]},
                 "fixed": {"dataset": "fashion_scenes", "global_batch_size": 128, "learning_rate": 0.001},
                 "executor": {"kind": "slurm", "poll_every": 1, "processes_per_run": 2, "nodes_per_run": 2,
                              "time_limit": "60s"}}
        process = self.start_sweep(self.write_sweep(sweep))
        self.wait_until(lambda: any(job[2] == "RUNNING" for job in self.jobs()))
        self.wait_until(lambda: any(job[2] == "PENDING" for job in self.jobs()), 180)
        (run,) = os.listdir(os.path.join(self.store, "runs"))
        self.assertTrue(os.listdir(os.path.join(self.store, "runs", run, "attempts/1/checkpoints")))
        self.wait_until(lambda: self.states() == {"queued": 1})
        process.send_signal(signal.SIGINT)
        self.assertEqual(process.wait(timeout=20), 130, self.log())

    def test_preemption_time_limit_and_restart_change_nothing(self):
        executor = {"kind": "slurm", "poll_every": 1, "time_limit": "60s"}
        process = self.start_sweep(self.sweep_file(executor, "slurm.json"))
        self.wait_until(lambda: len([job for job in self.jobs() if job[2] == "RUNNING"]) == 2)
        self.wait_until(lambda: all(self.has_trained(run) for run in os.listdir(os.path.join(self.store, "runs"))))
        subprocess.run(["sbatch", "--partition=urgent", "--nodes=3", "--ntasks-per-node=1", "--output=/dev/null",
                        "--wrap=sleep 3"], check=True, capture_output=True)
        self.wait_until(lambda: any(job[0] == "wrap" and job[2] == "COMPLETED" for job in self.cluster.jobs()))
        self.wait_until(lambda: any(job[2] == "RUNNING" for job in self.jobs()), 180)
        self.cluster.kill_controller()
        self.cluster.start_controller()
        self.assertEqual(process.wait(timeout=self.TIMEOUT), 0)
        self.assertEqual(self.attempts(), [1, 1])
        resumed = [start for start in self.starts() if start]
        self.assertGreaterEqual(len(resumed), 3, self.starts())  # the preemption of both, and a time limit
        local = self.path("local")
        self.sweep("run", self.sweep_file({"kind": "local"}, "local.json"), store=local)
        self.assertEqual(self.points(), self.points(store=local))

class GpuTest(ClusterTest):
    """A node with two GPUs, which are null devices."""

    def places(self, gpus_per_run, grid):
        """Rank, rank on its node and GPUs of every process of every run, as a trainer sees them."""
        trainer = self.path("trainer.sh")
        with open(trainer, "w") as out:
            out.write(f"""#!/bin/sh
echo "$SLURM_PROCID $SLURM_LOCALID $CUDA_VISIBLE_DEVICES" >> {self.path('places')}
[ "$SLURM_PROCID" = 0 ] || exit 0
exec {' '.join(TINY_TRAINER)} "$@"
""")
        os.chmod(trainer, 0o755)
        executor = {"partition": "gpus", "gpus_per_run": gpus_per_run}
        file = self.write_sweep(slurm_sweep(executor=executor, grid=grid, evaluations=[], trainer={"command": [trainer]}))
        self.assertEqual(self.sweep_json("run", file, env={"TINY_TRAINER_STEP_SECONDS": "0.3"})["failed"], 0)
        with open(self.path("places")) as places:
            return sorted(places.read().splitlines())

    def test_each_process_of_a_run_has_a_gpu_of_its_number(self):
        self.assertEqual(self.places(2, {"model": ["w32"], "samples_seen": [1024]}), ["0 0 0,1", "1 1 0,1"])

    def test_runs_at_once_have_gpus_of_their_own(self):
        self.assertEqual(self.places(1, {"model": ["w32", "w64"], "samples_seen": [1024]}), ["0 0 0", "0 0 1"])


class NodeTest(ClusterTest):
    """Two real runs, and something happens to the node of one of them. In the end the results are those of an undisturbed
    run, and the other run never knew."""
    TIMEOUT = 300
    undisturbed = None  # points of a local run, made once

    def sweep_of(self, executor):
        return {"version": 1, "name": "nodes", "executor": executor,
                "grid": {"model": ["scenes-s"], "samples_seen": [40064], "seed": [0, 1]},
                "fixed": {"dataset": "fashion_scenes", "global_batch_size": 128, "learning_rate": 0.001},
                "trainer": {"checkpoint_every_seconds": 1}, "evaluations": ["fashion_items"]}

    def points_of_a_local_run(self):
        if not NodeTest.undisturbed:
            local = self.path("local")
            self.sweep("run", self.write_sweep(self.sweep_of({"kind": "local"}), "local.json"), store=local)
            NodeTest.undisturbed = self.points(store=local)
        return NodeTest.undisturbed

    def start_two_runs(self, **executor):
        """The `sweep run`, and the node of the first run, which has a checkpoint."""
        file = self.write_sweep(self.sweep_of({"kind": "slurm", "poll_every": 1, **executor}))
        process = self.start_sweep(file)
        self.wait_until(lambda: [job[2] for job in self.jobs()] == ["RUNNING"] * 2)
        (first,) = [job for job in self.jobs() if job[1] == "0"]
        self.victim = self.tasks()[0]
        self.wait_until(lambda: any(event["type"] == "checkpoint" for event in self.events(self.victim)))
        return process, self.cluster.node_of(first[3])

    def events(self, run):
        attempts = os.path.join(self.store, "runs", run, "attempts")
        lines = []
        for attempt in sorted(os.listdir(attempts)):
            if os.path.exists(os.path.join(attempts, attempt, "events.jsonl")):
                with open(os.path.join(attempts, attempt, "events.jsonl")) as events:
                    lines += [line for line in events if line.endswith("}\n")]
        return list(map(json.loads, lines))

    def starts(self, run):
        """(node, samples_seen it went on from) of each start of a run's trainer."""
        return [(event["machine"]["environment"]["SLURM_JOB_NODELIST"], event.get("resumed_from"))
                for event in self.events(run) if event["type"] == "started"]

    def check_that_it_went_on_elsewhere(self, process, node):
        self.assertEqual(process.wait(timeout=self.TIMEOUT), 0, self.log())
        (first_node, scratch), (second_node, resumed_from) = self.starts(self.victim)
        self.assertEqual((first_node, scratch), (node, None))
        self.assertNotEqual(second_node, node)
        self.assertGreater(resumed_from, 0)
        self.check_results()

    def check_results(self):
        (other,) = set(os.listdir(os.path.join(self.store, "runs"))) - {self.victim}
        self.assertEqual(len(self.starts(other)), 1, "the other run was disturbed")
        self.assertEqual(self.states(), {"completed": 2})
        self.sweep("db", "check")
        self.assertEqual(self.points(), self.points_of_a_local_run())

    def test_a_node_that_is_taken_down(self):
        process, node = self.start_two_runs()
        self.cluster.declare_down(node)
        self.cluster.drain(node)  # its slurmd is well and would offer it again
        self.check_that_it_went_on_elsewhere(process, node)
        self.assertEqual(self.attempts(), [1, 1])

    def test_a_node_that_dies(self):
        process, node = self.start_two_runs()
        self.cluster.kill_node(node)
        self.cluster.declare_down(node)
        self.check_that_it_went_on_elsewhere(process, node)
        self.assertEqual(self.attempts(), [1, 1])

    def test_a_node_that_dies_where_jobs_are_not_requeued(self):
        process, node = self.start_two_runs(lines=["--no-requeue"], max_attempts=1)
        self.cluster.kill_node(node)
        self.cluster.declare_down(node)
        self.check_that_it_went_on_elsewhere(process, node)
        self.assertEqual(sorted(self.attempts()), [1, 2])

    def test_a_node_that_is_cut_off_while_its_trainer_goes_on(self):
        process, node = self.start_two_runs()
        self.cluster.cut_off_node(node)
        self.cluster.declare_down(node)
        self.assertEqual(process.wait(timeout=self.TIMEOUT), 0, self.log())
        self.assertEqual(self.starts(self.victim), [(node, None)], "two trainers on one run")
        self.assertEqual(self.attempts(), [1, 1])
        self.check_results()


if __name__ == "__main__":
    unittest.main(verbosity=2)
