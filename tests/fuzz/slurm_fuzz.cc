#include "orchestrator/slurm_queue.h"

#include "tests/fuzz/fuzz.h"

namespace sweep {

// The first byte says which command answered.
void Read(std::string_view text) {
  if (text.empty()) return;
  const std::string_view answer = text.substr(1);
  switch (text[0] % 3) {
    case 0:
      for (const auto& [name, task] : ParseSqueue(answer)) {
        (void)PhaseOf(task);
        (void)CauseOf(task);
      }
      (void)ParseSacct(answer, {"sweep-1_0", "sweep-1_7"});
      return;
    case 1:
      (void)SlurmConfigValue(answer, "MaxArraySize");
      return;
    default:
      (void)ReadSbatchAnswer(0, answer, "");
      (void)ReadSbatchAnswer(1, "", answer);
  }
}

}  // namespace sweep
