"""A real Slurm of a few virtual nodes on this machine, for as long as a test takes: munged, slurmctld and one slurmd a node,
without systemd and cgroups, and with accounts only where they are asked for. Needs root and Debian's slurm-wlm and munge."""
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time

import slurm_accounts
from processes import kill_all_with, kill_if_there, parent_of, processes_with, read_process, wait_until

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")

CONFIG = """ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
CredType=cred/munge
SlurmctldPort={port}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,sched_min_interval=100000
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
MaxArraySize={max_array_size}
MinJobAge={min_job_age}
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
KillWait=5
SlurmdParameters=config_overrides
MailProg=/bin/true
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
GresTypes=gpu
{nodes}
PartitionName=main Nodes={names} Default=YES MaxTime=INFINITE State=UP PriorityTier=1
PartitionName=urgent Nodes={names} MaxTime=INFINITE State=UP PriorityTier=10
PartitionName=gpus Nodes={gpu_node} MaxTime=INFINITE State=UP PriorityTier=1
"""

WITHOUT_ACCOUNTS = "AccountingStorageType=accounting_storage/none\n"

# The munge socket stands in the place of a password.
WITH_ACCOUNTS = """AccountingStorageType=accounting_storage/slurmdbd
AccountingStorageHost=localhost
AccountingStoragePort={port}
AccountingStoragePass={folder}/munge/socket
"""


def what_is_missing(accounts=False):
    """Why a cluster cannot be started here; empty if it can."""
    if os.geteuid() != 0:
        return "the user is not root"
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    if accounts:
        missing += slurm_accounts.what_is_missing()
    if missing:
        return f"{', '.join(missing)} not installed (scripts/setup --dev)"
    if not os.path.isdir("/sys/fs/cgroup") or not os.listdir("/sys/fs/cgroup"):
        return "slurmd asks for a mounted /sys/fs/cgroup"
    return ""


def free_ports(count):
    """`count` neighbouring ports that nobody listens on now."""
    for base in range(20000 + os.getpid() % 20000, 60000, count):
        sockets = [socket.socket() for _ in range(count)]
        try:
            for offset, sock in enumerate(sockets):
                sock.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
        finally:
            for sock in sockets:
                sock.close()
    raise RuntimeError("no free ports")


class SlurmCluster:
    def __init__(self, nodes=3, cpus=1, max_array_size=1001, min_job_age=300, accounts=False):
        self.folder = tempfile.mkdtemp(prefix="slurm-")
        os.chmod(self.folder, 0o755)
        self.nodes = [f"n{i + 1}" for i in range(nodes)]
        self.gpu_node = "g1"  # in a partition of its own
        port = free_ports(nodes + 3)
        host = socket.gethostname().split(".")[0]
        lines = [f"NodeName={name} NodeHostname={host} NodeAddr=127.0.0.1 Port={port + 1 + i} CPUs={cpus} RealMemory=2000"
                 for i, name in enumerate(self.nodes)]
        lines.append(f"NodeName={self.gpu_node} NodeHostname={host} NodeAddr=127.0.0.1 Port={port + 1 + nodes} CPUs=2 "
                     "RealMemory=2000 Gres=gpu:2")
        self.make_gpus(2)
        self.config = os.path.join(self.folder, "slurm.conf")
        accounts_port = port + nodes + 2
        with open(self.config, "w") as out:
            out.write(CONFIG.format(host=host, folder=self.folder, port=port, nodes="\n".join(lines),
                                    names=",".join(self.nodes), gpu_node=self.gpu_node,
                                    max_array_size=max_array_size, min_job_age=min_job_age))
            out.write(WITH_ACCOUNTS.format(folder=self.folder, port=accounts_port) if accounts else WITHOUT_ACCOUNTS)
        self.accounts = slurm_accounts.SlurmAccounts(self.folder, accounts_port) if accounts else None
        os.environ["SLURM_CONF"] = self.config
        try:
            self.start()
        except BaseException:
            self.stop()
            raise

    def start(self):
        self.start_munge()
        if self.accounts:
            self.accounts.start()
        self.start_controller()
        for name in [*self.nodes, self.gpu_node]:
            os.makedirs(os.path.join(self.folder, f"spool.{name}"))
            self.start_node(name)
        self.wait_for_nodes()

    def make_gpus(self, count):
        """Links to the null device in their place: Slurm counts them and hands out their numbers."""
        for i in range(count):
            os.symlink("/dev/null", os.path.join(self.folder, f"gpu{i}"))
        with open(os.path.join(self.folder, "gres.conf"), "w") as out:
            out.write(f"NodeName={self.gpu_node} Name=gpu File={self.folder}/gpu[0-{count - 1}]\n")

    def start_munge(self):
        os.makedirs(os.path.join(self.folder, "munge"), 0o755)
        key = os.path.join(self.folder, "munge.key")
        with open(os.open(key, os.O_CREAT | os.O_WRONLY, 0o600), "wb") as out:
            out.write(os.urandom(1024))
        subprocess.run(["munged", "--force", f"--key-file={key}", f"--socket={self.folder}/munge/socket",
                        f"--pid-file={self.folder}/munged.pid", f"--log-file={self.folder}/munged.log",
                        f"--seed-file={self.folder}/munge.seed"], check=True)

    def start_controller(self):
        os.makedirs(os.path.join(self.folder, "state"), exist_ok=True)
        subprocess.run(["slurmctld", "-f", self.config], check=True)

    def kill_controller(self):
        """As a crash, but with the jobs that run now in its saved state: it forgets those it started since it last saved."""
        state = os.path.join(self.folder, "state", "job_state")
        seen = time.time()
        while not os.path.exists(state) or os.path.getmtime(state) < seen:
            time.sleep(0.1)
        with open(os.path.join(self.folder, "slurmctld.pid")) as file:
            os.kill(int(file.read()), signal.SIGKILL)

    def start_node(self, name):
        subprocess.run(["slurmd", "-f", self.config, "-N", name], check=True)

    def node_pid_file(self, name):
        return os.path.join(self.folder, f"slurmd.{name}.pid")

    def cut_off_node(self, name):
        """Its slurmd is gone and what it started goes on, as when a node loses its network."""
        with open(self.node_pid_file(name)) as file:
            os.kill(int(file.read()), signal.SIGKILL)
        os.unlink(self.node_pid_file(name))

    def kill_node(self, name):
        """Everything on it is gone, as when its power fails."""
        self.cut_off_node(name)
        tasks = self.tasks_of_node(name)
        managers = [pid for pid in map(parent_of, tasks) if read_process(pid, "comm") == "slurmstepd\n"]
        for pid in managers + tasks:  # a manager would tell the controller how its tasks ended
            kill_if_there(pid)

    def tasks_of_node(self, name):
        return processes_with({f"SLURM_CONF={self.config}", f"SLURMD_NODENAME={name}"})

    def declare_down(self, name):
        """What the controller itself does when a node has not answered for SlurmdTimeout, or an administrator at once."""
        subprocess.run(["scontrol", "update", f"nodename={name}", "state=down", "reason=test"], check=True)

    def drain(self, name):
        subprocess.run(["scontrol", "update", f"nodename={name}", "state=drain", "reason=test"], check=True)

    def node_of(self, job):
        """Where a task, as `jobs` names it, runs."""
        return subprocess.run(["squeue", "--noheader", f"--jobs={job}", "--format=%N"],
                              capture_output=True, text=True).stdout.strip()

    def wait_for_nodes(self):
        wait_until(self.nodes_are_idle, "the test's Slurm", self.folder)

    def nodes_are_idle(self):
        states = subprocess.run(["sinfo", "--noheader", "--Node", "--format=%T", "--partition=main"],
                                capture_output=True, text=True).stdout.split()
        return states == ["idle"] * len(self.nodes)

    def jobs(self, states="all"):
        """(name, index, state, restarts) of every task Slurm still knows."""
        out = subprocess.run(["squeue", "--noheader", "--array", f"--states={states}", "--format=%j|%K|%T|%i"],
                             capture_output=True, text=True).stdout
        return [tuple(line.split("|")) for line in out.splitlines()]

    def clear(self):
        """Ends every job and makes every node usable again."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            subprocess.run(["scancel", "--user=root"], capture_output=True)
            if not subprocess.run(["squeue", "--noheader"], capture_output=True, text=True).stdout.strip():
                break
            time.sleep(0.5)
        for name in self.nodes:
            if not os.path.exists(self.node_pid_file(name)):
                self.start_node(name)
        nodes = ",".join(self.nodes)
        subprocess.run(["scontrol", "update", f"nodename={nodes}", "state=resume"], capture_output=True)
        self.wait_for_nodes()

    def stop(self):
        """Ends what was started for it, jobs and what they started too."""
        if self.accounts:
            self.accounts.stop()
        kill_all_with({f"SLURM_CONF={self.config}"})
        os.environ.pop("SLURM_CONF", None)
        shutil.rmtree(self.folder, ignore_errors=True)
