"""A sweep of trunks and branches that cool down, as a user meets it."""
import json
import unittest

from harness import SweepTest, tiny_sweep

LENGTHS = {"from": 1024, "to": 8192, "count": 4}
FIT = {"law": "power", "evaluations": ["fashion_items"], "metrics": ["acc1"]}


def cooldown_sweep(**changes):
    """Two models, four lengths each: two trunks and eight branches."""
    sweep = tiny_sweep(generate={"models": ["w32", "w64"], "samples_seen": LENGTHS, "cooldown_share": 0.2}, fits=[FIT])
    del sweep["grid"]
    sweep.update(changes)
    return sweep


class CooldownTest(SweepTest):
    def kinds(self):
        """Kind and schedule of the points of one metric."""
        points = [json.loads(line) for line in self.points()]
        return sorted((point["point_kind"], point["schedule"]) for point in points
                      if (point["eval_dataset"], point["metric"]) == ("fashion_items", "acc1"))

    def test_laws_are_of_the_branches_and_what_is_left_out_is_said(self):
        file = self.write_sweep(cooldown_sweep())
        text = self.sweep("run", file)
        self.assertIn("points of kind cooldown were fitted; left out: 2 of kind trunk", text)
        self.assertEqual(self.kinds(), [("cooldown", "constant+cosine")] * 8 + [("trunk", "constant")] * 2)
        (fit,) = self.sweep_json("run", file)["fits"]
        self.assertEqual((fit["n"], fit["kind"], fit["kinds_left_out"]), (8, "cooldown", {"trunk": 2}))
        (status,) = self.sweep_json("status")["sweeps"]
        self.assertEqual([fit["n"] for fit in status["fits"]], [8])
        self.assertIn("of kind cooldown; left out: 2 of kind trunk", self.sweep("status"))
        self.assertEqual({fit["n"] for fit in self.sweep_json("fit")["fits"]}, {8})
        self.sweep("db", "rebuild")
        self.assertEqual(self.kinds()[-1], ("trunk", "constant"))

    def test_a_fit_of_the_sweep_file_may_name_its_kind(self):
        fits = [{**FIT, "kind": kind} for kind in ("trunk", "all")]
        report = self.sweep_json("run", self.write_sweep(cooldown_sweep(fits=fits)))
        self.assertEqual([fit["n"] for fit in report["fits"]], [2, 10])
        self.assertIn("different kinds are mixed", json.dumps(report["fits"][1]["warnings"]))
        self.sweep("validate", self.write_sweep(cooldown_sweep(fits=[{**FIT, "kind": "colddown"}])), expect=2)
        self.assertIn("did you mean 'cooldown'?", self.last_stderr)

    def test_ordinary_runs_of_the_curve_are_apart_from_branches(self):
        self.sweep("run", self.write_sweep(cooldown_sweep()))
        self.sweep("run", self.write_sweep(tiny_sweep(), "cosine.json"))
        (branches,) = self.sweep_json("fit", "--metric", "acc1", "--where", "eval_dataset=fashion_items")["fits"]
        self.assertEqual((branches["kind"], branches["n"]), ("cooldown", 8))
        self.assertIn("6 of kind final left out", json.dumps(branches["warnings"]))
        fits = self.sweep_json("fit", "--metric", "acc1", "--where", "eval_dataset=fashion_items", "--kind", "all",
                               "--by", "schedule")["fits"]
        self.assertEqual({fit["group"]["schedule"]: fit["n"] for fit in fits},
                         {"constant": 2, "constant+cosine": 8, "cosine": 6})

    def test_suggested_branches_pay_for_their_trunk(self):
        few = cooldown_sweep(name="few")
        few["generate"] = {**few["generate"], "models": ["w32"]}
        self.sweep("run", self.write_sweep(few, "few.json"))
        whole = self.write_sweep(cooldown_sweep())
        ask = ("suggest", whole, "--metric", "acc1", "--at", "C=1e6", "--accelerator", "a100")
        suggested = self.sweep_json(*ask, "--count", "2", "--write", self.path("next.json"))
        self.assertEqual((suggested["kind"], suggested["open_runs"]), ("cooldown", 4))
        self.assertEqual(len(suggested["on_the_way"]), 1)
        plan = self.sweep_json("plan", self.path("next.json"), "--accelerator", "a100")
        self.assertEqual(plan["to_train"], 3)
        self.assertAlmostEqual(sum(run["device_hours"] for run in suggested["runs"]),
                               plan["cost"]["device_hours"]["middle"], places=12)
        self.assertEqual({run["run_id"] for run in plan["runs"]},
                         {run["run_id"] for run in suggested["runs"]} | set(suggested["on_the_way"]))
        # A budget below trunk and branch together allows neither.
        trunk = next(run for run in plan["runs"] if run["run_id"] in suggested["on_the_way"])
        self.sweep(*ask, "--budget", str(trunk["cost"]["device_hours"]["middle"]), expect=4)
        self.assertIn("with 1 that they start from", self.sweep(*ask, "--count", "2"))


    def test_branches_of_a_failed_trunk_are_not_suggested(self):
        few = cooldown_sweep(name="few")
        few["generate"] = {**few["generate"], "models": ["w32"]}
        self.sweep("run", self.write_sweep(few, "few.json"))
        broken = {"command": ["/bin/sh", "-c", "exit 2"]}
        self.sweep("run", self.write_sweep(cooldown_sweep(trainer=broken)), expect=3)
        ask = ("suggest", self.write_sweep(cooldown_sweep()), "--metric", "acc1", "--at", "C=1e6", "--count", "2")
        self.sweep(*ask, expect=6)
        self.assertIn("no run of this curve and of kind cooldown is left to choose", self.last_stderr)
        self.sweep("retry", "--failed")
        self.assertEqual(self.sweep_json(*ask)["open_runs"], 4)

    def test_a_suggestion_takes_the_kind_of_the_fit_that_gives_its_law(self):
        self.sweep("run", self.write_sweep(cooldown_sweep()))
        more = cooldown_sweep(fits=[{**FIT, "kind": "trunk"}])
        more["generate"] = {**more["generate"], "samples_seen": {"from": 2048, "to": 16384, "count": 2}}
        ask = ("suggest", self.write_sweep(more, "more.json"), "--metric", "acc1", "--at", "C=1e6", "--count", "1")
        self.assertEqual(self.sweep_json(*ask)["kind"], "trunk")
        self.assertEqual(self.sweep_json(*ask, "--kind", "cooldown")["kind"], "cooldown")

    def test_plan_says_what_branches_save_as_validate_does(self):
        file = self.write_sweep(cooldown_sweep())
        (checked,) = self.sweep_json("validate", file)["files"]
        self.assertGreater(checked["train_flops_saved_by_branches"], 0)
        self.assertEqual(self.sweep_json("plan", file)["train_flops_saved_by_branches"],
                         checked["train_flops_saved_by_branches"])
        saving = self.sweep("validate", file).split("; ")[1].strip()
        self.assertRegex(saving, r"^branches save \d+% of .* FLOPs$")
        self.assertIn(saving, self.sweep("plan", file))
        self.assertNotIn("branches", self.sweep("plan", self.write_sweep(tiny_sweep())))


if __name__ == "__main__":
    unittest.main()
