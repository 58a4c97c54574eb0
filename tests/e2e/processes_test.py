"""Trainers that are scripts around trainers, and what they inherit: a killed `sweep` leaves none beside the next one's."""
import os
import signal
import subprocess
import time
import unittest

from harness import TINY_TRAINER, SweepTest, tiny_sweep

# Notes its process id, and every earlier one that still works.
INNER = """#!/bin/bash
for pid in $(cat {folder}/pids 2>/dev/null); do
  grep -qa . /proc/$pid/cmdline 2>/dev/null && echo $pid >>{folder}/twice
done
echo $$ >>{folder}/pids
env >{folder}/environment
exec {trainer} "$@"
"""


class ProcessesTest(SweepTest):
    def script(self, name, text):
        with open(self.path(name), "w") as out:
            out.write(text)
        os.chmod(self.path(name), 0o755)
        return self.path(name)

    def sweep_with(self, wrapper):
        self.script("inner", INNER.format(folder=self.folder, trainer=" ".join(TINY_TRAINER)))
        command = [self.script("wrapper", "#!/bin/bash\n" + wrapper.format(inner=self.path("inner")) + "\n")]
        return self.write_sweep(tiny_sweep(trainer={"command": command}, evaluations=[],
                                           grid={"model": ["w32"], "samples_seen": [16384]}))

    def pids(self):
        try:
            with open(self.path("pids")) as file:
                return file.read().split()
        except FileNotFoundError:
            return []

    def kill_and_run_again(self, wrapper):
        file = self.sweep_with(wrapper)
        slow = {**os.environ, "TINY_TRAINER_STEP_SECONDS": "0.2"}
        process = subprocess.Popen(self.command("run", file), env=slow, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 30
        while not self.pids() and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.5)
        process.kill()
        process.wait()
        report = self.sweep_json("run", file)
        self.assertEqual((report["completed"], report["failed"]), (1, 0))
        self.assertFalse(os.path.exists(self.path("twice")), "two trainers at once in one run")
        self.assertEqual(len(self.pids()), 2)

    def test_a_script_whose_child_trains(self):
        self.kill_and_run_again('{inner} "$@"; exit $?')

    def test_a_script_that_dies_before_its_child(self):
        self.kill_and_run_again('{inner} "$@" & wait')

    def test_a_child_in_a_session_of_its_own(self):
        self.kill_and_run_again('setsid -w {inner} "$@"; exit $?')

    def test_a_child_that_no_command_line_connects_with_the_run(self):
        self.kill_and_run_again('cd "$1"; setsid -w {inner} . "$2"; exit $?')

    def test_a_script_that_dies_beside_a_living_sweep(self):
        die_once = f'{{inner}} "$@" & while ! [ -e {self.path("pids")} ]; do sleep 0.02; done\n' \
                   f'mkdir {self.path("died")} 2>/dev/null && kill -9 $$\nwait $!'
        slow = {"TINY_TRAINER_STEP_SECONDS": "0.7"}
        self.assertEqual(self.sweep_json("run", self.sweep_with(die_once), env=slow)["completed"], 1)
        self.assertFalse(os.path.exists(self.path("twice")), "two trainers at once in one run")
        self.assertEqual(len(self.pids()), 2)

    def test_a_stop_waits_for_the_child_of_a_script(self):
        for number, wrapper in enumerate(('{inner}; exit $?', '{inner} & wait', 'setsid -w {inner}; exit $?')):
            with self.subTest(wrapper=wrapper):
                inner = self.script("slow_to_stop", f"#!/bin/bash\ntrap 'sleep 0.5; touch {self.path('saved')}.{number}; exit 130' TERM\n"
                                                    f"touch {self.path('began')}.{number}\nwhile :; do sleep 0.05; done\n")
                command = [self.script("wrapper", "#!/bin/bash\n" + wrapper.format(inner=inner) + "\n")]
                file = self.write_sweep(tiny_sweep(trainer={"command": command}, grid={"model": ["w32"], "samples_seen": [1024]}))
                process = subprocess.Popen(self.command("run", file, store=self.path(f"store-{number}")),
                                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
                self.addCleanup(process.kill)
                self.wait_until(lambda: os.path.exists(self.path(f"began.{number}")))
                process.send_signal(signal.SIGINT)
                self.assertEqual(process.wait(60), 130)
                self.assertTrue(os.path.exists(self.path(f"saved.{number}")))

    def test_what_placed_sweep_among_processes_does_not_place_its_trainers(self):
        places = {"RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "MASTER_ADDR": "elsewhere", "MASTER_PORT": "1",
                  "SLURM_PROCID": "1", "SLURM_STEP_NUM_TASKS": "2", "SLURM_LOCALID": "1"}
        file = self.sweep_with('exec {inner} "$@"')
        self.assertEqual(self.sweep_json("run", file, env={**places, "SLURM_JOB_ID": "7"})["failed"], 0)
        with open(self.path("environment")) as lines:
            names = {line.split("=")[0] for line in lines}
        self.assertFalse(names & set(places))
        self.assertIn("SLURM_JOB_ID", names)


if __name__ == "__main__":
    unittest.main()
