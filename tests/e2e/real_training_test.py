"""From JSON to a law with the real trainer on real images; skipped where clip_train was not built."""
import glob
import json
import os
import shutil
import signal
import subprocess
import unittest

from harness import SweepTest, SWEEP

CLIP_TRAIN = os.path.join(os.path.dirname(SWEEP), "clip_train")


def read_lines(path):
    if not os.path.exists(path):
        return []
    with open(path) as lines:
        return lines.read().splitlines()


def grid_sweep(**changes):
    sweep = {
        "version": 1,
        "name": "law",
        "grid": {"model": ["scenes-xs", "scenes-s"], "samples_seen": [2048, 8192, 32768]},
        "fixed": {"dataset": "fashion_scenes", "global_batch_size": 128},
        "derive": {"learning_rate": "2e-3 * sqrt(global_batch_size / 128)", "warmup_steps": "0.1 * steps"},
        "evaluations": [{"name": "items", "extends": "fashion_items", "size": 2000},
                        {"name": "retrieval", "extends": "fashion_retrieval", "size": 300}],
        "fits": [{"law": "power"}],
        "executor": {"kind": "local", "threads_per_run": 1},
    }
    sweep.update(changes)
    return sweep


@unittest.skipUnless(os.path.exists(CLIP_TRAIN), "clip_train was not built")
class RealTrainingTest(SweepTest):
    def test_a_grid_becomes_a_law(self):
        file = self.write_sweep(grid_sweep())
        report = self.sweep_json("run", file)
        self.assertEqual((report["completed"], report["failed"]), (6, 0))
        fits = {fit["group"]["eval_dataset"]: fit for fit in report["fits"]}
        self.assertEqual(set(fits), {"items", "retrieval"})
        for name, fit in fits.items():
            self.assertEqual(fit["n"], 6)
            alpha = fit["estimates"]["alpha"]
            self.assertLess(alpha["value"], -0.02, f"{name}: the error falls with compute")
            self.assertLess(alpha["low"], alpha["value"])
            self.assertGreater(alpha["high"], alpha["value"])
        errors = {row["compute_gmacs"]: 1 - row["value"] for row in map(json.loads, self.points())
                  if row["metric"] == "acc1"}
        self.assertLess(errors[max(errors)], 0.75 * errors[min(errors)])
        # The same laws from the store alone, and a forecast that knows how far it reaches.
        again = self.sweep_json("fit", "--metric", "acc1")["fits"]
        self.assertEqual(again[0]["estimates"], fits["items"]["estimates"])
        self.assertEqual(self.sweep_json("run", file)["already_done"], 6)

    def test_files_of_a_finished_run_that_are_lost_are_made_again_from_its_checkpoint(self):
        file = self.write_sweep(grid_sweep(grid={"model": ["scenes-xs"], "samples_seen": [2048]}, fits=[]))
        self.sweep("run", file)
        expected = self.points()
        runs = os.path.join(self.store, "runs")
        run = os.path.join(runs, os.listdir(runs)[0])
        evaluation = os.path.join(run, "evaluations", sorted(os.listdir(os.path.join(run, "evaluations")))[0])
        for lost in (evaluation, os.path.join(run, "result.json")):
            os.truncate(lost, 99)
            self.assertEqual(self.sweep_json("run", file)["completed"], 1)
            self.assertIn(lost, self.last_stderr)
            self.assertEqual(self.points(), expected)
        self.assertEqual(self.sweep_json("db", "check")["evaluations_without_checksum"], 0)
        steps = [json.loads(line)["attempt"] for line in self.sweep("export", "steps", "--format", "jsonl").splitlines()]
        self.assertEqual(set(steps), {1}, "nothing was trained again")
        for checkpoints in glob.glob(os.path.join(run, "attempts/*/checkpoints")):
            shutil.rmtree(checkpoints)
        os.unlink(evaluation)
        self.assertIn("no valid checkpoint after 2048 samples", self.sweep("run", file, expect=3))

    def test_two_processes_give_the_points_of_one(self):
        grid = {"model": ["scenes-s"], "samples_seen": [8192]}
        one = self.path("one")
        self.sweep("run", self.write_sweep(grid_sweep(grid=grid)), store=one)
        two = grid_sweep(grid=grid, executor={"kind": "local", "processes_per_run": 2, "threads_per_run": 1})
        self.assertEqual(self.sweep_json("run", self.write_sweep(two))["completed"], 1)
        folder = os.path.join(self.store, "runs")
        started = read_lines(os.path.join(folder, os.listdir(folder)[0], "attempts/1/events.jsonl"))[0]
        self.assertEqual(json.loads(started)["processes"], 2)
        rows = zip(map(json.loads, self.points()), map(json.loads, self.points(store=one)))
        for here, there in rows:
            self.assertEqual((here["run"], here["metric"]), (there["run"], there["metric"]))
            self.assertAlmostEqual(here["value"], there["value"], delta=0.03)

    def test_fewer_tokens_then_all_of_them(self):
        """CLIPA's recipe: small images and short captions first, full ones for the last samples."""
        sweep = grid_sweep(
            grid={"model": ["scenes-s"], "samples_seen": [16384], "image_size": [28, 14]},
            fixed={"dataset": "fashion_scenes", "global_batch_size": 128, "text_reduction": "syntax", "context_length": 10},
            include=[{"model": "scenes-s", "samples_seen": 12288, "image_size": 28},
                     {"model": "scenes-s", "samples_seen": 12288, "image_size": 28,
                      "start": {"from": {"samples_seen": 16384, "image_size": 14}}},
                     {"model": "scenes-s", "samples_seen": 4096, "image_size": 28, "patch_dropout": 0.5,
                      "loss": "sigmoid", "optimizer": "lamb", "weight_decay": 0.05, "grad_clip_norm": 1,
                      "start": {"from": {"samples_seen": 16384, "image_size": 28, "patch_dropout": 0,
                                         "loss": "softmax", "optimizer": "adamw", "weight_decay": 0.2, "grad_clip_norm": 0}}}])
        report = self.sweep_json("run", self.write_sweep(sweep))
        self.assertEqual((report["completed"], report["failed"]), (5, 0))
        acc1 = {(row["samples_seen"], row["gmacs_per_sample"]): row["value"]
                for row in map(json.loads, self.points()) if row["metric"] == "acc1"}
        small, full = sorted({gmacs for samples, gmacs in acc1 if samples == 16384})
        self.assertLess(small, 0.75 * full)
        self.assertGreater(acc1[16384 + 12288, full], acc1[12288, full], "the first stage helps the second")

    def start_a_run_and_its_undisturbed_twin(self):
        """The sweep file, the store where it has ended undisturbed, and the process that now runs it in the test's store."""
        file = self.write_sweep(grid_sweep(grid={"model": ["scenes-s"], "samples_seen": [16384]},
                                           trainer={"checkpoint_every_seconds": 0.5}))
        undisturbed = self.path("undisturbed")
        self.sweep("run", file, store=undisturbed)
        return file, undisturbed, subprocess.Popen(self.command("run", file), stdout=subprocess.DEVNULL,
                                                   stderr=subprocess.DEVNULL)

    def test_killing_the_trainer_changes_no_result(self):
        _, undisturbed, process = self.start_a_run_and_its_undisturbed_twin()
        pid = self.pid_of_trainer_with_a_checkpoint()
        os.kill(pid, signal.SIGKILL)
        self.assertEqual(process.wait(120), 0)
        attempts = self.sweep("export", "attempts").splitlines()
        self.assertEqual(len(attempts), 1 + 2)
        self.assertEqual(self.points(), self.points(store=undisturbed))

    def test_killing_sweep_changes_no_result(self):
        file, undisturbed, process = self.start_a_run_and_its_undisturbed_twin()
        self.pid_of_trainer_with_a_checkpoint()
        process.kill()
        process.wait()
        self.assertEqual(self.sweep_json("run", file)["completed"], 1)
        self.assertEqual(self.points(), self.points(store=undisturbed))

    @unittest.skipUnless(os.geteuid() == 0, "mounting a small disk needs root")
    def test_a_disk_too_small_for_a_checkpoint_pauses_the_sweep_and_changes_no_result(self):
        file = self.write_sweep(grid_sweep(grid={"model": ["scenes-s"], "samples_seen": [8192]},
                                           trainer={"checkpoint_every_seconds": 0.1}))
        undisturbed = self.path("undisturbed")
        self.sweep("run", file, store=undisturbed)
        disk = self.path("disk")
        os.mkdir(disk)
        # Room for two checkpoints of 2.7 MB, not for a third while those are there.
        if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", disk]).returncode != 0:
            self.skipTest("no tmpfs can be mounted here")
        self.addCleanup(subprocess.run, ["umount", disk])
        store = os.path.join(disk, "store")
        self.sweep("run", file, store=store, expect=9)
        self.assertIn("make room", self.last_stderr)
        self.assertEqual(self.sweep_json("status", store=store)["sweeps"][0]["runs_by_state"], {"planned": 1})
        self.assertIn("disk_full", self.sweep("export", "attempts", store=store))
        subprocess.run(["mount", "-o", "remount,size=64m", disk], check=True)
        self.assertEqual(self.sweep_json("run", file, store=store)["completed"], 1)
        (run,) = os.listdir(os.path.join(store, "runs"))
        started = json.loads(read_lines(os.path.join(store, "runs", run, "attempts/2/events.jsonl"))[0])
        self.assertGreater(started["resumed_from"], 0)
        self.assertEqual(self.points(store=store), self.points(store=undisturbed))

    def pid_of_trainer_with_a_checkpoint(self):
        runs = os.path.join(self.store, "runs")
        found = []

        def has_checkpoint():
            for run in os.listdir(runs) if os.path.isdir(runs) else []:
                events = os.path.join(runs, run, "attempts/1/events.jsonl")
                lines = read_lines(events)
                if any('"type":"checkpoint"' in line for line in lines):
                    started = next(line for line in lines if '"type":"started"' in line)
                    found.append(json.loads(started)["pid"])
                    return True
            return False

        self.wait_until(has_checkpoint)
        return found[0]

    def test_missing_images_are_one_line_that_says_what_to_install(self):
        empty = self.path("empty")
        os.mkdir(empty)
        sweep = grid_sweep(grid={"model": ["scenes-xs"], "samples_seen": [1024]}, evaluations=[],
                           datasets={"here": {"extends": "fashion_scenes", "location": empty}}, fits=[])
        sweep["fixed"]["dataset"] = "here"
        out = self.sweep("run", self.write_sweep(sweep), expect=3)
        self.assertIn("dataset-fashion-mnist", out)


class PublishedCurvesTest(SweepTest):
    def test_openai_and_laion_are_compared_without_any_store(self):
        out = self.sweep("compare", "openai", "laion")
        for alpha in ("-0.1638", "-0.1114", "-0.0508", "-0.0794"):
            self.assertIn(alpha, out)

    def test_a_published_curve_predicts_the_published_accuracies(self):
        report = self.sweep_json("predict", "--curve", "laion", "--model", "H/14", "--samples", "laion:34B")
        values = {entry["fit"]["group"]["eval_dataset"]: entry["predictions"][0]["value"]
                  for entry in report["predictions"]}
        self.assertEqual(round(100 * (1 - values["imagenet1k"]), 4), 78.1078)
        self.assertEqual(round(100 * (1 - values["mscoco_captions"]), 4), 73.6172)

    def test_points_to_import_are_fitted_like_our_own(self):
        table = self.path("mine.csv")
        with open(table, "w") as out:
            out.write("FLOPs,err,model\n")
            for i in range(6):
                flops = 6e18 * 10 ** i
                out.write(f"{flops},{50 * (flops / 6e9) ** -0.2},m{i}\n")
        mapping = ["--map", "compute_gmacs=FLOPs/6e9", "--map", "value=1-err", "--set", "curve=mine",
                   "--set", "task=zeroshot_classification", "--set", "eval_dataset=x", "--set", "metric=acc1"]
        self.sweep("import", table, *mapping)
        fit = self.sweep_json("fit", "--curve", "mine")["fits"][0]
        self.assertAlmostEqual(fit["estimates"]["alpha"]["value"], -0.2, places=9)
        self.assertIn("imported before", self.sweep("import", table, *mapping))
        before = self.points()
        os.unlink(os.path.join(self.store, "sweep.db"))
        self.sweep("db", "rebuild")
        self.assertEqual(self.points(), before)

    def test_laions_public_table_is_read_under_its_own_columns(self):
        zeroshot = self.path("zeroshot_results.csv")
        with open(zeroshot, "w") as out:
            out.write("arch,samples_seen,gmacs_total,gmacs,upstream_dataset,downstream_dataset,acc1,acc5,"
                      "mean_per_class_recall,image_retrieval_recall@5,text_retrieval_recall@5,"
                      "mean_average_precision,task,samples_seen_pretty,name\n"
                      "ViT-B-32,13034626688,96456237491.2,7.4,LAION-400M,imagenet1k,0.6323,0.87,0.63,,,,"
                      "zeroshot_classification,13B,run-a\n"
                      "ViT-B-32,12800000000,94720000000,7.4,CLIP-WIT,mscoco_captions,,,,0.5585,0.75,,"
                      "zeroshot_retrieval,13B,run-b\n")
        info = self.path("trained_models_info.csv")
        with open(info, "w") as out:
            out.write("name,arch,data,samples_seen_pretty,lr,warmup,epochs,gpus,samples_per_sec,samples_per_epoch,"
                      "local_bs,detailed_training_info,url\n"
                      "run-a,ViT-B-32,LAION-400M,13B,0.001,2000,32,128,52724.0,407332084,672,,\n")
        self.sweep("import", zeroshot, info)
        rows = [json.loads(line) for line in self.points()]
        accuracy = next(row for row in rows if row["metric"] == "acc1")
        self.assertEqual((accuracy["curve"], accuracy["run"], accuracy["value"]), ("laion", "run-a", 0.6323))
        self.assertEqual((accuracy["params"], accuracy["global_batch_size"]), (151277313, 86016))
        self.assertEqual({row["curve"] for row in rows}, {"laion", "openai", "training"})


if __name__ == "__main__":
    unittest.main()
