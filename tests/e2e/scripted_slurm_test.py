"""What `sweep run` makes of a Slurm that refuses, holds back and explains: a Slurm of scripts, which starts what it takes."""
import os
import shlex
import signal
import subprocess
import time
import unittest

from harness import SweepTest, tiny_sweep

KILLED = ["/bin/sh", "-c", "kill -9 $$"]


class ScriptedSlurmTest(SweepTest):
    listed = 10  # tasks of an array

    def slurm(self, sbatch="", state="RUNNING", reason="None"):
        """The environment. `sbatch` is what it does first, with the number of tasks in `asked`. All tasks are listed in one
        state; one that is an end only one answer after each submission's trainer has ended."""
        tasks = f"""
state={state}
ended=$(ls {shlex.quote(self.store)}/runs/*/attempts/*/exit | wc -l)
if [ {state} != PENDING ] && [ $ended -lt $(wc -l <{self.path('accepted')}) ]; then
  state=RUNNING
elif [ {state} != PENDING ] && mkdir {self.path('late')}.$ended 2>/dev/null; then
  state=RUNNING
fi
for token in $(cat {self.path('accepted')} 2>/dev/null); do
  seq -f "$token|4711|%.0f|$state|{reason}" 0 {self.listed - 1}
done"""
        scripts = {
            "scontrol": "echo MaxArraySize = 1001",
            "squeue": tasks,
            "sbatch": f"""
last=$(grep -o -- '--array=0-[0-9]*' <<<"$*" | grep -o '[0-9]*$')
asked=$((last + 1))
echo $asked >>{self.path('asked')}
{sbatch}
script=${{@: -1}}
basename "$(dirname "$script")" >>{self.path('accepted')}
for index in $(seq 0 $last); do
  SLURM_ARRAY_JOB_ID=4711 SLURM_ARRAY_TASK_ID=$index setsid bash "$script" >/dev/null 2>&1 &
done
echo 4711""",
        }
        for name, script in scripts.items():
            environment = self.program_first_on_path(name, script)
        return environment

    def sweep_file(self, seconds=5, **changes):
        executor = {"kind": "slurm", "poll_every": 0.05, "answer_timeout": seconds}
        return self.write_sweep(tiny_sweep(executor=executor, evaluations=[], **changes))

    def asked(self):
        with open(self.path("asked")) as log:
            return [int(line) for line in log]

    def test_a_site_that_takes_few_jobs_at_once_gets_few(self):
        refuse = """
if [ $asked -gt 2 ]; then
  echo 'sbatch: error: QOSMaxSubmitJobPerUserLimit' >&2
  echo 'sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, ...)' >&2
  exit 1
fi"""
        report = self.sweep_json("run", self.sweep_file(), env=self.slurm(refuse))
        self.assertEqual((report["completed"], report["failed"]), (6, 0))
        self.assertEqual(self.asked()[:2], [6, 3])  # refused, and halved
        self.assertLessEqual(max(self.asked()[2:]), 2)
        self.assertIn("keeping to", self.last_stderr)

    def interrupted(self, file, environment, condition, limits=""):
        """Starts `sweep run`, interrupts it once the condition holds, returns how long it then took to end."""
        command = ["bash", "-c", limits + ' exec "$@"', "-", *self.command("run", file)]
        with open(self.path("stderr"), "w") as log:
            running = subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.DEVNULL, stderr=log)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        self.wait_until(lambda: running.poll() is not None or condition(), 240)
        with open(self.path("stderr")) as log:
            self.assertIsNone(running.poll(), log.read())
        begin = time.monotonic()
        running.send_signal(signal.SIGINT)
        self.assertEqual(running.wait(60), 130)
        return time.monotonic() - begin

    def test_many_runs_are_queued_with_few_open_files(self):
        runs = int(os.environ.get("SCRIPTED_SLURM_RUNS", "600"))
        self.listed = 1000
        waits = f"""
basename $(dirname ${{@: -1}}) >>{self.path('accepted')}
echo 4711
exit 0"""
        grid = {"model": ["w32"], "samples_seen": [1024], "seed": list(range(runs))}
        all_asked = lambda: os.path.exists(self.path("asked")) and sum(self.asked()) == runs
        self.interrupted(self.sweep_file(grid=grid), self.slurm(waits, state="PENDING"), all_asked,
                         limits="ulimit -n 1024;" if runs > 600 else "ulimit -n 128;")
        self.assertEqual(len(self.sweep_json("status")["sweeps"][0]["runs"]), runs)

    def test_an_sbatch_that_closes_its_output_and_stays(self):
        answers_late = f"mkdir {self.path('once')} 2>/dev/null && late=yes"
        environment = self.slurm(answers_late)
        with open(self.path("bin/sbatch"), "a") as script:
            script.write("\n[ -z $late ] || { exec >&- 2>&-; sleep 60; }\n")
        begin = time.monotonic()
        report = self.sweep_json("run", self.sweep_file(seconds=1), env=environment)
        self.assertEqual((report["completed"], report["failed"]), (6, 0))
        self.assertLess(time.monotonic() - begin, 30)
        self.assertEqual(self.asked(), [6])  # found in the queue, not sent again

    def test_ctrl_c_is_heard_while_a_scheduler_command_hangs(self):
        environment = self.slurm()
        self.program_first_on_path("squeue", f"touch {self.path('hangs')}; exec >&- 2>&-; sleep 60")
        seconds = self.interrupted(self.sweep_file(seconds=60), environment, lambda: os.path.exists(self.path("hangs")))
        self.assertLess(seconds, 10)

    def test_a_store_path_of_odd_characters(self):
        self.store = self.path("it's a \"store\" of $HOME `ls` \\ * ü")
        self.assertEqual(self.sweep_json("run", self.sweep_file(), env=self.slurm())["completed"], 6)

    def test_a_store_path_that_a_job_cannot_be_given_is_refused_before_anything_is_sent(self):
        environment = self.slurm()
        for name in ("two\nlines", "a\ttab", "carriage\rreturn"):
            self.store = self.path(name)
            self.sweep("run", self.sweep_file(), expect=2, env=environment)
            self.assertIn("store's path", self.last_stderr)
            self.assertFalse(os.path.exists(self.path("asked")))
            runs = self.sweep_json("status")["sweeps"]
            self.assertEqual({run["state"] for sweep in runs for run in sweep["runs"]} - {"planned"}, set())

    def test_a_job_over_a_limit_of_its_own_ends_the_sweep_with_slurms_words(self):
        refuse = """
echo 'sbatch: error: QOSMaxWallDurationPerJobLimit' >&2
echo 'sbatch: error: Batch job submission failed: Job violates accounting/QOS policy (job submit limit, ...)' >&2
exit 1"""
        self.sweep("run", self.sweep_file(), expect=2, env=self.slurm(refuse))
        self.assertIn("QOSMaxWallDurationPerJobLimit", self.last_stderr)
        self.assertEqual(len(self.asked()), 1)

    def test_explain_says_what_a_job_waits_for(self):
        environment = self.slurm(state="PENDING", reason="BadConstraints", sbatch=f"""
basename $(dirname ${{@: -1}}) >>{self.path('accepted')}
echo 4711
exit 0""")
        with open(self.path("stderr"), "w") as log:
            running = subprocess.Popen(self.command("run", self.sweep_file()), env={**os.environ, **environment},
                                       stdout=subprocess.DEVNULL, stderr=log)
        self.addCleanup(running.wait)
        self.addCleanup(running.kill)
        self.wait_until(self.has_started)
        (run, *_) = os.listdir(os.path.join(self.store, "runs"))
        self.wait_until(lambda: "waits: BadConstraints" in self.sweep("explain", run))
        running.send_signal(signal.SIGINT)
        running.wait(60)
        with open(self.path("stderr")) as log:
            self.assertEqual(log.read().count("keeps jobs waiting: BadConstraints"), 1)

    def test_the_scheduler_says_why_a_trainer_was_killed(self):
        file = self.sweep_file(grid={"model": ["w32"], "samples_seen": [1024]}, trainer={"command": KILLED})
        self.sweep("run", file, expect=3, env=self.slurm(state="OUT_OF_MEMORY"))
        (run,) = self.sweep_json("status")["sweeps"][0]["runs"]
        self.assertEqual((run["failure_class"], run["attempts"]), ("out_of_memory", 2))  # the second with smaller pieces

    def test_a_trainer_that_was_killed_for_no_known_reason_has_crashed(self):
        file = self.sweep_file(grid={"model": ["w32"], "samples_seen": [1024]}, trainer={"command": KILLED})
        self.sweep("run", file, expect=3, env=self.slurm(state="FAILED"))
        (run,) = self.sweep_json("status")["sweeps"][0]["runs"]
        self.assertEqual((run["failure_class"], run["attempts"]), ("crashed", 2))


if __name__ == "__main__":
    unittest.main()
