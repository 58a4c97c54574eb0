"""File systems and containers that lack a system call: `sweep` does without it, or says what is missing."""
import errno
import os
import unittest

from harness import SweepTest, tiny_sweep

ERRNO_SHIM = os.environ["ERRNO_SHIM_LIBRARY"]


class OddFileSystemTest(SweepTest):
    def setUp(self):
        super().setUp()
        # The tiny trainer is a program of its own, which has to bring its own fallbacks.
        command = ["env", "-u", "LD_PRELOAD", *tiny_sweep()["trainer"]["command"]]
        self.file = self.write_sweep(tiny_sweep(trainer={"command": command}))

    def with_failing(self, **calls):
        return {"LD_PRELOAD": ERRNO_SHIM, "ERRNO_SHIM": ",".join(f"{call}={number}" for call, number in calls.items())}

    def test_it_does_without_links_folder_syncs_and_pidfds(self):
        undisturbed = self.path("undisturbed")
        self.sweep("run", self.file, store=undisturbed)
        for number, calls in enumerate((
                {"link": errno.EPERM}, {"link": errno.EOPNOTSUPP}, {"link": errno.ENOSYS, "renameat2": errno.EINVAL},
                {"link": errno.EMLINK, "renameat2": errno.ENOSYS}, {"folder_fsync": errno.EINVAL},
                {"folder_fsync": errno.EOPNOTSUPP}, {"pidfd_open": errno.EPERM}, {"pidfd_open": errno.ENOSYS})):
            with self.subTest(calls=calls):
                store = self.path(f"store-{number}")
                self.sweep("run", self.file, store=store, env=self.with_failing(**calls))
                self.assertEqual(self.points(store=store), self.points(store=undisturbed))
                self.assertEqual(self.sweep_json("run", self.file, store=store, env=self.with_failing(**calls))["already_done"], 6)
                leftovers = [name for _, _, files in os.walk(store) for name in files if name.endswith(".tmp")]
                self.assertEqual(leftovers, [])

    def test_without_locks_it_says_so_instead_of_waiting_for_nobody(self):
        for number in (errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK):
            self.sweep("run", self.file, expect=7, env=self.with_failing(flock=number))
            self.assertIn("this file system has no flock(2)", self.last_stderr)
            self.assertNotIn("is held by", self.last_stderr)


if __name__ == "__main__":
    unittest.main()
