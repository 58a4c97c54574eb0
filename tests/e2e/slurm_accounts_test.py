"""`sweep run` on a real Slurm that keeps accounts and forgets a job soon after its end: how it ended, `sweep` learns from
sacct."""
import os
import signal
import subprocess
import unittest

from harness import TINY_TRAINER
from slurm_harness import ClusterTest, slurm_sweep, start_cluster

# A first attempt waits to be ended by others, or to be told that it may train; a second one trains at once.
TRAINER = f"""#!/bin/sh
while [ "$2" = 1 ] && [ ! -e "$1/train" ]; do sleep 0.1; done
exec {' '.join(TINY_TRAINER)} "$@"
"""
AT_WORK = 6  # of a sweep's tasks: two on each of three nodes


def setUpModule():
    start_cluster(cpus=2, min_job_age=2, accounts=True)


class AccountsTest(ClusterTest):
    def start_and_leave(self, tasks):
        """A `sweep run` of that many tasks, killed when the first of them are at work."""
        trainer = self.path("trainer.sh")
        with open(trainer, "w") as out:
            out.write(TRAINER)
        os.chmod(trainer, 0o755)
        grid = {"model": ["w32"], "samples_seen": [128 * (i + 1) for i in range(tasks)]}
        self.file = self.write_sweep(slurm_sweep(grid=grid, evaluations=[], trainer={"command": [trainer]}))
        process = self.start_sweep(self.file)
        self.wait_until(lambda: self.submitted() and self.states() == {"running": AT_WORK, "queued": tasks - AT_WORK})
        process.send_signal(signal.SIGKILL)
        process.wait()
        self.array = self.jobs()[0][3].split("_")[0]
        self.runs = self.tasks()

    def submitted(self):
        return os.path.isdir(os.path.join(self.store, "submissions")) and self.jobs()

    def task(self, index):
        """As Slurm calls it."""
        return f"{self.array}_{index}"

    def state_of(self, index):
        return {job[1]: job[2] for job in self.jobs()}.get(str(index))

    def tasks_by_node(self):
        nodes = {}
        for index in range(AT_WORK):
            nodes.setdefault(self.cluster.node_of(self.task(index)), []).append(index)
        self.assertEqual([len(tasks) for tasks in nodes.values()], [2, 2, 2], nodes)
        return sorted(nodes.items())

    def update(self, index, setting):
        subprocess.run(["scontrol", "update", f"jobid={self.task(index)}", setting], check=True)

    def scancel(self, *words):
        subprocess.run(["scancel", *words], check=True)

    def lose(self, node, tasks):
        for index in tasks:
            self.update(index, "requeue=0")
        self.cluster.kill_node(node)
        self.cluster.declare_down(node)

    def requeue_and_cancel(self, index):
        """Two lines in the accounts, of which the first says REQUEUED."""
        subprocess.run(["scontrol", "requeue", self.task(index)], check=True)
        self.wait_until(lambda: self.state_of(index) == "PENDING")
        self.wait_until(lambda: self.state_of(index) == "RUNNING")
        self.scancel(self.task(index))

    def let_train(self, index):
        with open(os.path.join(self.store, "runs", self.runs[index], "train"), "w"):
            pass

    def run_again(self):
        """When squeue has forgotten every job and the accounts, which come after, know their ends."""
        self.wait_until(lambda: not self.jobs() and not {"PENDING", "REQUEUED", "RUNNING"} & self.states_in_accounts())
        self.sweep("run", self.file, expect=3)

    def states_in_accounts(self):
        answer = subprocess.run(["sacct", "--noheader", "--parsable2", "--allocations", "--starttime=now-1days",
                                 f"--name={self.submissions()[0]}", "--format=State"], check=True, capture_output=True, text=True)
        return set(answer.stdout.split("\n"))

    def explain(self, index):
        return self.sweep("explain", self.runs[index])

    def outcomes(self, index):
        return [attempt["outcome"] for attempt in self.sweep_json("explain", self.runs[index])["attempts"]]

    def test_a_job_that_was_cancelled_while_it_waited_shares_a_line_with_others(self):
        tasks = AT_WORK + 60
        self.start_and_leave(tasks)
        for index in range(AT_WORK, tasks, 3):
            self.update(index, "nice=1")  # gives it a line of its own, and a gap to the list of others, which sacct would cut
        self.scancel(self.array)
        self.run_again()
        self.assertEqual(self.states(), {"cancelled": tasks})

    def test_a_run_ends_as_the_accounts_say_of_its_forgotten_job(self):
        self.start_and_leave(AT_WORK + 2)
        (_, (trained, cancelled)), (_, (too_long, requeued)), (lost_node, lost) = self.tasks_by_node()
        self.scancel("--state=PENDING", f"--name={self.submissions()[0]}")
        self.scancel(self.task(cancelled))
        self.update(too_long, "endtime=now")  # as a time limit that has come
        self.lose(lost_node, lost)
        self.requeue_and_cancel(requeued)
        self.let_train(trained)
        self.run_again()
        self.assertIn("It is completed: attempt 1 published a result", self.explain(trained))
        for index in cancelled, requeued, AT_WORK, AT_WORK + 1:
            self.assertIn("It is cancelled (cancelled): its job was cancelled", self.explain(index))
        self.assertIn("It is failed (time_limit): the time limit came", self.explain(too_long))
        for index in lost:
            self.assertEqual(self.outcomes(index), ["interrupted", "succeeded"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
