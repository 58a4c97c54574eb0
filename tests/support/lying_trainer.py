#!/usr/bin/env python3
"""A trainer that lies: lying_trainer.py SEED TRUTH RUN_DIR ATTEMPT.

While the file TRUTH is not there, it does the tiny trainer's work for runs of 4,096 samples and then spoils it in one way
that SEED chooses: members of wrong types, values and depths, torn and huge files, pipes, folders and links in the place of
files, folders gone, ids of other runs. Nothing is written outside the run's folder but by links, and no lie is a number
that might be true: what remains in a store is right or missing.
"""
import hashlib, json, os, random, runpy, shutil, signal, socket, sys, zlib

HUGE = int(os.environ.get("LYING_TRAINER_HUGE_BYTES", str(3 << 20)))
NESTED = object()  # 300,000 brackets
RAW_NUMBERS = ["NaN", "Infinity", "-Infinity", "1e999", "0x10", "1" * 400]


def text_of(value):
    """JSON text; raw words of RAW_NUMBERS and NESTED as they are."""
    text = json.dumps(value, default=lambda _: "@nested@")
    for word in RAW_NUMBERS:
        text = text.replace(f'"@{word}@"', word)
    return text.replace('"@nested@"', "[" * 300000 + "]" * 300000)


def sealed(value, key, seal):
    body = text_of(value)[:-1]
    return f'{body},"{key}":"{seal(body.encode())}"}}'


def sealed_event(event):
    return sealed(event, "crc32", lambda body: f"{zlib.crc32(body):08x}")


def sealed_document(document):
    return sealed(document, "sha256", lambda body: hashlib.sha256(body).hexdigest())


class Liar:
    def __init__(self, seed, run_dir, attempt):
        self.random = random.Random(seed)
        self.run_dir, self.attempt = run_dir, attempt
        self.folder = os.path.join(run_dir, "attempts", str(attempt))
        self.events = os.path.join(self.folder, "events.jsonl")
        self.result = os.path.join(run_dir, "result.json")

    def evaluations(self):
        folder = os.path.join(self.run_dir, "evaluations")
        return sorted(os.path.join(folder, name) for name in os.listdir(folder) if name.endswith(".json"))

    def wrong_value(self):
        """Of no type, range or depth that any member has."""
        return self.random.choice([None, [], {}, [1], {"a": 1}, -5, -1e300, 2 ** 64, -(2 ** 70), 10 ** 30, "@NaN@", "@Infinity@", "@1e999@", "@" + "1" * 400 + "@", NESTED])

    def replace(self, path, text):
        """In place, as a trainer does that does not know better."""
        with open(path, "wb") as out:
            out.write(text if isinstance(text, bytes) else text.encode())

    # Each spoils something.

    def lie_in_an_event(self):
        members = ["seq", "at", "type", "step", "samples_seen", "loss", "learning_rate", "logit_scale", "samples_per_second",
                   "data_wait", "mfu", "class", "message", "host", "pid", "threads", "device"]
        kinds = ["step", "started", "failure", "checkpoint", "evaluation", "unstable_step", "rewound", "loss_scale", "unknown"]
        with open(self.events, "a") as out:
            for number in range(self.random.randrange(1, 20)):
                event = {"seq": 100 + number, "at": 1.7e9, "type": self.random.choice(kinds)}
                for name in self.random.sample(members, self.random.randrange(1, 5)):
                    event[name] = self.random.choice([self.wrong_value(), "whatever", True, 0, 1.5, 10 ** 15, "x" * 5000])
                print(sealed_event(event), file=out)

    def lie_in_the_order_of_events(self):
        with open(self.events, "a") as out:
            for seq in [1, 1, 2 ** 53, 3, 2 ** 63 - 1, -1, 0, 2 ** 63, 7.0, 7.5]:
                print(sealed_event({"seq": seq, "at": self.random.choice([0, 1e10, -1, 1e300]), "type": "step", "loss": 2,
                                    "samples_seen": 10 ** self.random.randrange(20)}), file=out)

    def huge_events(self):
        how = self.random.randrange(4)
        with open(self.events, "ab") as out:
            if how == 0:
                out.write(b"\n" * HUGE)
            elif how == 1:
                out.write(b'{"seq":99,"type":"' + b"x" * HUGE + b'"}\n')
            elif how == 2:
                out.write(b"no line break " * (HUGE // 14))
            else:
                out.truncate(100 << 30)  # takes no room

    def lie_in_the_result(self):
        with open(self.result) as file:
            result = json.load(file)
        result.pop("sha256", None)
        how = self.random.randrange(6)
        if how == 0:
            result.pop(self.random.choice(["schema", "run_id", "attempt", "outcome", "samples_seen"]))
        elif how == 1:
            result["outcome"] = self.random.choice(["whatever", "", "Completed", "diverged"])
        elif how == 2:
            result["samples_seen"] = self.random.choice([-5, 0, 1, 4095, 4097, 10 ** 18])
        elif how == 3:
            result["checkpoint"] = self.random.choice(["../../../..", "/", "/etc", "attempts/9/checkpoints/1", "..", "a/../../.."])
        elif how == 4:
            result["run_id"] = self.random.choice(["", "0" * 32, "whatever", "../x"])
        else:
            result[self.random.choice([*result, "unknown"])] = self.wrong_value()
        self.replace(self.result, self.random.choice([text_of, sealed_document])(result))

    def lie_in_an_evaluation(self):
        path = self.random.choice(self.evaluations())
        with open(path) as file:
            evaluation = json.load(file)
        evaluation.pop("sha256", None)
        metric = self.random.choice(list(evaluation["metrics"].values()))
        how = self.random.randrange(6)
        if how == 0:
            evaluation.pop(self.random.choice(["schema", "run_id", "eval_id", "samples_seen", "spec", "metrics"]))
        elif how == 1:
            metric["value"] = self.random.choice(["0.5", 1.5, -0.1, self.wrong_value()])
        elif how == 2:
            metric["sample_size"] = self.random.choice(["10", 1.5, -1, 2 ** 70])
        elif how == 3:
            evaluation[self.random.choice(["run_id", "eval_id"])] = self.random.choice(["0" * 32, "", "x"])
        elif how == 4:
            evaluation["eval_dataset"] = "another"
        else:
            evaluation[self.random.choice(["schema", "metrics", "spec", "samples_seen", "unknown"])] = self.wrong_value()
        self.replace(path, self.random.choice([text_of, sealed_document])(evaluation))

    def an_evaluation_too_many_or_too_few(self):
        path = self.random.choice(self.evaluations())
        how = self.random.randrange(3)
        if how == 0:
            os.unlink(path)
        elif how == 1:
            shutil.copy(path, os.path.join(self.run_dir, "evaluations", "0" * 32 + ".json"))
        else:
            others = [other for other in self.evaluations() if other != path]
            shutil.copy(self.random.choice(others), path)

    def tear_a_file(self):
        path = self.random.choice([self.result, *self.evaluations(), self.spec(), self.request(), self.events])
        size = os.path.getsize(path)
        how = self.random.randrange(4)
        if how == 0:
            os.truncate(path, self.random.randrange(size))
        elif how == 1:
            with open(path, "r+b") as file:  # as a file system leaves it that lost its power: zeros
                file.seek(self.random.randrange(size))
                file.write(bytes(size - file.tell()))
        elif how == 2:
            with open(path, "r+b") as file:
                content = bytearray(file.read())
                content[self.random.randrange(size)] ^= 1 << self.random.randrange(8)
                file.seek(0)
                file.write(content)
        else:
            junk = [b"", b"[]", b"null", b'{"schema":1}', b"\xff\xfe", b"[" * 300000, b'{"schema":' + b"[" * 300000,
                    b" " * HUGE, b"x" * HUGE, self.random.randbytes(1000)]
            self.replace(path, self.random.choice(junk))

    def spec(self):
        return os.path.join(self.run_dir, "spec.json")

    def request(self):
        return os.path.join(self.folder, "attempt.json")

    def put_something_else_in_a_place(self):
        path = self.random.choice([
            self.result, *self.evaluations(), os.path.join(self.run_dir, "evaluations"), self.events, self.spec(),
            os.path.join(self.run_dir, "lock"), self.request(), os.path.join(self.folder, "stderr.log"),
            os.path.join(self.folder, "checkpoints"), self.folder, os.path.join(self.run_dir, "attempts")])
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
        self.put(path, self.random.choice(["pipe", "folder", "socket", "nowhere", "itself", "zero", "null", "nothing"]))

    def put(self, path, what):
        if what == "pipe":
            os.mkfifo(path)
        elif what == "folder":
            os.makedirs(os.path.join(path, "in it"))
        elif what == "socket":
            os.chdir(os.path.dirname(path))  # the name of a socket is short
            with socket.socket(socket.AF_UNIX) as made:
                made.bind(os.path.basename(path))
        elif what != "nothing":
            target = {"nowhere": "/nowhere/at/all", "itself": os.path.basename(path), "zero": "/dev/zero", "null": "/dev/null"}
            os.symlink(target[what], path)

    def make_attempts(self):
        for name in self.random.sample([str(self.attempt + 1), "1000000", "999999", "9223372036854775807", "-1", "007", "x", "0"], 3):
            os.makedirs(os.path.join(self.run_dir, "attempts", name, "checkpoints", self.random.choice(["99999", "-1", "9" * 30])),
                        exist_ok=True)

    def give_odd_names(self):
        content = self.random.choice([b"", b"{}", b"[" * 300000])
        for folder in ("evaluations", "attempts", f"attempts/{self.attempt}", f"attempts/{self.attempt}/checkpoints", "."):
            for name in [b"\xff.json", b"two\nlines.json", b"x" * 250 + b".json", b".hidden.json", b"-1", b" ", b"\x1b[31m.json"]:
                self.replace(os.path.join(os.fsencode(self.run_dir), folder.encode(), name), content)

    def remove_folders(self):
        shutil.rmtree(self.random.choice([self.run_dir, self.folder, os.path.join(self.run_dir, "attempts"),
                                          os.path.join(self.run_dir, "evaluations"), os.path.join(self.folder, "checkpoints")]))

    def end(self):
        how = self.random.randrange(10)
        if how < 7:
            sys.exit(0)
        if how == 7:
            os.kill(os.getpid(), signal.SIGKILL)
        sys.exit(self.random.choice([1, 2, 6, 77]))


def main():
    seed, truth, run_dir, attempt = int(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4])
    with open(os.path.join(run_dir, "spec.json")) as file:
        lies = json.load(file)["spec"]["samples_seen"] == 4096 and not os.path.exists(truth)
    sys.argv = ["tiny_trainer.py", run_dir, str(attempt)]
    runpy.run_path(os.path.join(os.path.dirname(os.path.abspath(__file__)), "tiny_trainer.py"), run_name="__main__")
    if not lies:
        return
    liar = Liar(seed, run_dir, attempt)
    lies = [liar.lie_in_an_event, liar.lie_in_the_order_of_events, liar.huge_events, liar.lie_in_the_result,
            liar.lie_in_an_evaluation, liar.an_evaluation_too_many_or_too_few, liar.tear_a_file,
            liar.put_something_else_in_a_place, liar.make_attempts, liar.give_odd_names, liar.remove_folders]
    lie = lies[seed % len(lies)]
    print("lie:", lie.__name__, seed, flush=True)
    lie()
    liar.end()


main()
