"""Stores with damage of every kind at every file: what differs from an undisturbed store is told by the file's name.

Each store is a copy of one that was run to its end; one of its files, drawn with the kind of damage and the place by a
seed, is damaged. Then readers, `db check`, `sweep run`, `db rebuild` and one more `sweep run` are called. Invariant:
every exit code is documented and none says "internal error"; no run is trained again unless its own files, or all that
says it was, are damaged; at the end the points are those of the undisturbed store, or the damaged file was named.
DAMAGED_STORES says how many stores; DAMAGED_STORES_FROM the first seed.
"""
import contextlib
import glob
import os
import random
import shutil
import subprocess
import unittest

from harness import SweepTest, tiny_sweep

STORES = int(os.environ.get("DAMAGED_STORES", "1000"))
FIRST = int(os.environ.get("DAMAGED_STORES_FROM", "1"))
DOCUMENTED = {0, 2, 3, 4, 5, 6, 7, 8, 9}


def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, content):
    with open(path, "wb") as file:
        file.write(content)


def flip(path, generator, others):
    content = bytearray(read(path))
    for _ in range(generator.choice((1, 1, 1, 20))):
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
    write(path, content)


def truncate(path, generator, others):
    os.truncate(path, generator.randrange(os.path.getsize(path)))


def zeros(path, generator, others):
    content = bytearray(read(path))
    begin = generator.randrange(len(content))
    end = min(len(content), begin + generator.choice((1, 64, 4096)))
    content[begin:end] = bytes(end - begin)
    write(path, content)


def empty(path, generator, others):
    os.truncate(path, 0)


def remove(path, generator, others):
    os.unlink(path)


def pipe(path, generator, others):
    os.unlink(path)
    os.mkfifo(path)


def folder(path, generator, others):
    os.unlink(path)
    os.mkdir(path)


def link(path, generator, others):
    os.unlink(path)
    os.symlink(generator.choice(["/nonexistent/file", "/dev/zero", os.path.basename(path)]), path)


def junk(path, generator, others):
    with open(path, "ab") as file:
        file.write(generator.randbytes(generator.choice((1, 100, 10000))))


def another(path, generator, others):
    write(path, read(generator.choice(others)))


DAMAGES = [flip, truncate, zeros, empty, remove, pipe, folder, link, junk, another]


class DamagedStoresTest(SweepTest):
    TIMEOUT = 60

    def setUp(self):
        super().setUp()
        self.file = self.write_sweep(tiny_sweep(
            grid={"model": ["w32"], "samples_seen": [1024, 4096]},
            include=[{"model": "w32", "samples_seen": 2048, "start": {"from": {"samples_seen": 1024}}}]))
        self.reference = self.path("reference")
        self.sweep("run", self.file, store=self.reference)
        table = self.path("table.csv")
        with open(table, "w") as out:
            out.write("compute_gmacs,value,metric,task,eval_dataset,curve\n1,0.5,acc1,t,d,c\n10,0.25,acc1,t,d,c\n")
        self.sweep("import", table, store=self.reference)
        self.expected = set(self.points(store=self.reference))
        self.files = sorted(os.path.relpath(path, self.reference) for path in glob.glob(f"{self.reference}/**", recursive=True)
                            if os.path.isfile(path))

    def call(self, *arguments):
        """(exit code, all that was said) of a command on the damaged store."""
        done = subprocess.run(self.command(*arguments), capture_output=True, text=True, errors="replace", timeout=self.TIMEOUT,
                              env={**os.environ, "TINY_TRAINER_LEDGER": self.store + ".ledger"})
        said = done.stdout + done.stderr
        self.assertIn(done.returncode, DOCUMENTED, f"{arguments}: {said}")
        self.assertNotIn("internal error", said, arguments)
        return done.returncode, said

    def trained(self):
        if not os.path.exists(self.store + ".ledger"):
            return set()
        with open(self.store + ".ledger") as lines:
            return {run for act, run in (line.split() for line in lines) if act == "published"}

    def kind_of(self, name):
        parts = name.split("/")
        return parts[0] if parts[0] != "runs" else parts[-1].split(".")[0] if "evaluations" not in parts else "evaluation"

    def draw(self, generator):
        """Kinds of files are drawn first: else nearly all damage would be to the many files of runs."""
        kind = generator.choice(sorted({self.kind_of(name) for name in self.files}))
        return generator.choice([name for name in self.files if self.kind_of(name) == kind])

    def damage(self, seed):
        generator = random.Random(seed)
        name = self.draw(generator)
        path = os.path.join(self.store, name)
        kinds = DAMAGES if os.path.getsize(path) > 0 else [remove, pipe, folder, link, junk, another]
        kind = generator.choice(kinds)
        kind(path, generator, [os.path.join(self.reference, other) for other in self.files if other != name])
        return name, kind.__name__

    def check(self, name):
        said = ""
        for command in (["status"], ["db", "check"], ["export", "points"], ["run", self.file]):
            said += self.call(*command)[1]
        code, words = self.call("db", "rebuild")
        said += words
        said += self.call("run", self.file)[1]
        last, words = self.call("export", "points", "--format", "jsonl")
        said += words if last != 0 else ""
        run = name.split("/")[1] if name.startswith("runs/") else None
        self.assertLessEqual(self.trained() - {run}, set(), "a run was trained again whose files were whole")
        told = os.path.basename(name) in said or os.path.basename(os.path.dirname(name)) in said
        if code != 0 or last != 0:
            self.assertTrue(told, said)
            return "refused by name"
        points = set(words.splitlines())
        if points == self.expected:
            checked, report = self.call("db", "check")
            if checked != 0:
                self.assertTrue(told, report)
            return "points equal"
        self.assertTrue(told, f"{self.expected ^ points}\n{said}")
        self.assertLessEqual(points, self.expected, "a point that the undisturbed store has not")
        return "points missing, told"

    def test_damage_is_told_and_costs_what_was_damaged_alone(self):
        outcomes = {}
        for seed in range(FIRST, FIRST + STORES):
            shutil.rmtree(self.store, ignore_errors=True)
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self.store + ".ledger")
            shutil.copytree(self.reference, self.store)
            name, kind = self.damage(seed)
            with self.subTest(seed=seed, file=name, damage=kind):
                outcome = self.check(name)
                outcomes[outcome] = outcomes.get(outcome, 0) + 1
        if STORES > 100:
            print(f"{STORES} damaged stores: {outcomes}")


if __name__ == "__main__":
    unittest.main()
