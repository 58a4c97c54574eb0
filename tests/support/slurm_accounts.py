"""The accounts of a test's Slurm: a MariaDB and a slurmdbd of its own, with all they write in one folder. Needs root and
Debian's slurmdbd and mariadb-server-core."""
import os
import shutil
import subprocess

from processes import wait_until

PROGRAMS = ("mariadbd", "slurmdbd", "sacctmgr", "sacct")
SYSTEM_TABLES = "/usr/share/mysql/mysql_system_tables.sql"

CONFIG = """AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
SlurmUser=root
DbdHost=localhost
DbdPort={port}
PidFile={folder}/slurmdbd.pid
StorageType=accounting_storage/mysql
StorageHost=localhost
StorageUser=root
StorageLoc=slurm
"""


def what_is_missing():
    missing = [program for program in PROGRAMS if not shutil.which(program)]
    return missing if os.path.exists(SYSTEM_TABLES) else [*missing, SYSTEM_TABLES]


class SlurmAccounts:
    def __init__(self, folder, port):
        self.folder = folder  # that of slurm.conf, beside which slurmdbd looks for its own
        self.port = port
        self.database = os.path.join(folder, "database")
        self.socket = os.path.join(self.database, "socket")
        self.servers = []

    def start(self):
        self.make_database()
        self.start_database()
        self.start_slurmdbd()

    def mariadbd(self, *options):
        """A server that is not root's, and small. It trusts whoever opens its socket, which only root and it can reach."""
        return ["mariadbd", "--no-defaults", "--user=nobody", f"--datadir={self.database}", "--skip-networking",
                "--innodb-buffer-pool-size=32M", "--innodb-log-file-size=4M", "--innodb-flush-log-at-trx-commit=0", *options]

    def make_database(self):
        """What mariadb-install-db does, but for users, help texts and time zones."""
        os.mkdir(self.database, 0o700)
        shutil.chown(self.database, "nobody")
        with open(SYSTEM_TABLES) as tables:
            statements = "CREATE DATABASE mysql;\nUSE mysql;\n" + tables.read()
        with open(os.path.join(self.folder, "bootstrap.log"), "w") as log:
            subprocess.run(self.mariadbd("--bootstrap"), input=statements, text=True, check=True, stdout=log, stderr=log)

    def start_database(self):
        self.serve(self.mariadbd("--skip-grant-tables", f"--socket={self.socket}"), "mariadbd.log")
        wait_until(lambda: os.path.exists(self.socket), "the database", self.folder)

    def start_slurmdbd(self):
        config = os.path.join(self.folder, "slurmdbd.conf")
        with open(os.open(config, os.O_CREAT | os.O_WRONLY, 0o600), "w") as out:  # slurmdbd insists on that mode
            out.write(CONFIG.format(folder=self.folder, port=self.port))
        self.serve(["slurmdbd", "-D"], "slurmdbd.log", MYSQL_UNIX_PORT=self.socket)  # no setting of its own says where
        # It answers as soon as its tables are made, and then this is all that a new cluster asks for.
        add_cluster = ["sacctmgr", "--immediate", "add", "cluster", "test"]
        wait_until(lambda: subprocess.run(add_cluster, capture_output=True).returncode == 0, "slurmdbd", self.folder)

    def serve(self, command, log, **environment):
        with open(os.path.join(self.folder, log), "w") as out:
            self.servers.append(subprocess.Popen(command, env={**os.environ, **environment}, stdout=out, stderr=out))

    def stop(self):
        for server in reversed(self.servers):
            server.kill()
            server.wait()
