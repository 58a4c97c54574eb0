#include "orchestrator/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>

#include "core/output.h"

namespace sweep {
namespace {

constexpr int kBarWidth = 24;
constexpr const char* kEraseLine = "\r\x1b[2K";

double SumOfValues(const std::map<std::string, double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0, [](double sum, const auto& item) {
    return sum + item.second;
  });
}

const char* VerdictWord(const AttemptVerdict& verdict, bool will_retry) {
  switch (verdict.verdict) {
    case Verdict::kTrained:
      return verdict.failure_class.empty() ? "completed" : "evaluation failed";
    case Verdict::kDiverged:
      return "diverged";
    case Verdict::kInterrupted:
      return "interrupted";
    case Verdict::kCancelled:
      return "cancelled";
    case Verdict::kFailed:
      return will_retry ? "retrying" : "failed";
  }
  return "";
}

}  // namespace

bool WantsColour(std::FILE* out) {
  const char* forbidden = std::getenv("NO_COLOR");
  return ::isatty(::fileno(out)) == 1 && (forbidden == nullptr || *forbidden == '\0');
}

std::string HumanSeconds(double seconds) {
  constexpr double kDaysFrom = 100 * 3600;
  if (seconds < 60) return fmt::format("{:.1f}s", seconds);
  if (seconds >= kDaysFrom) return fmt::format("{:.4g}d", seconds / 86400);
  const auto whole = static_cast<int64_t>(std::llround(seconds));
  if (whole < 3600) return fmt::format("{}m {:02}s", whole / 60, whole % 60);
  return fmt::format("{}h {:02}m", whole / 3600, whole / 60 % 60);
}

std::string HumanBytes(double bytes) {
  for (const auto& [unit, name] :
       {std::pair(1e12, "TB"), std::pair(1e9, "GB"), std::pair(1e6, "MB"), std::pair(1e3, "kB")}) {
    if (bytes >= unit) return fmt::format("{:.3g} {}", bytes / unit, name);
  }
  return fmt::format("{:.0f} B", bytes);
}

std::string HumanCount(double count) {
  for (const auto& [unit, letter] :
       {std::pair(1e12, 'T'), std::pair(1e9, 'B'), std::pair(1e6, 'M'), std::pair(1e3, 'k')}) {
    if (count >= unit) return fmt::format("{:.4g}{}", count / unit, letter);
  }
  return fmt::format("{:.4g}", count);
}

Progress::Progress(std::FILE* out, size_t total_runs, size_t done_runs, double compute_gmacs)
    : out_(out),
      terminal_(::isatty(::fileno(out)) == 1),
      colour_(WantsColour(out)),
      total_runs_(total_runs),
      done_runs_(done_runs),
      compute_total_(compute_gmacs) {}

Progress::~Progress() {
  Erase();
}

void Progress::RunEnded(const RunRow& run,
                        const AttemptVerdict& verdict,
                        bool will_retry,
                        double seconds) {
  compute_running_.erase(run.run_id);
  rates_.erase(run.run_id);
  const bool ended = verdict.verdict != Verdict::kInterrupted && !will_retry;
  if (ended) {
    ++done_runs_;
    compute_ended_ += static_cast<double>(run.spec.samples_seen) * run.gmacs_per_sample;
  }
  const bool good = verdict.verdict == Verdict::kTrained && verdict.failure_class.empty();
  std::string word = VerdictWord(verdict, will_retry);
  if (colour_) word = fmt::format("\x1b[{}m{}\x1b[0m", good ? 32 : 31, word);
  std::string line = fmt::format("[{:>{}}/{}] {} {} {} {} {} samples seed {} ({}, {})",
                                 done_runs_,
                                 fmt::formatted_size("{}", total_runs_),
                                 total_runs_,
                                 run.run_id.substr(0, 8),
                                 word,
                                 run.model,
                                 run.dataset,
                                 HumanCount(static_cast<double>(run.spec.samples_seen)),
                                 run.spec.seed,
                                 HumanSeconds(seconds),
                                 fmt::format("{:.4g} GMACs", run.compute_gmacs));
  if (!good && !verdict.message.empty()) line += fmt::format(": {}", verdict.message);
  Print(line);
}

void Progress::Note(const std::string& line) {
  Print(line);
}

void Progress::RunAt(const RunRow& run, const RunProgress& progress) {
  compute_running_[run.run_id] = static_cast<double>(progress.samples_seen) * run.gmacs_per_sample;
  rates_[run.run_id] = progress.samples_per_second;
}

void Progress::Draw(size_t running) {
  if (!terminal_) return;
  TellText(kEraseLine + Bar(running), out_);
  bar_shown_ = true;
}

std::string Progress::Bar(size_t running) const {
  const double done = compute_ended_ + SumOfValues(compute_running_);
  const double share = compute_total_ > 0 ? std::clamp(done / compute_total_, 0.0, 1.0) : 1.0;
  const double elapsed =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - started_).count();
  const auto filled = static_cast<size_t>(std::lround(share * kBarWidth));
  const std::string left =
      share > 0.01 ? HumanSeconds(elapsed / share * (1 - share)) + " left" : "estimating";
  return fmt::format(
      "[{}{}] {:3.0f}% of compute, {}/{} runs, {} at work, {} samples/s, {} elapsed, {}",
      std::string(filled, '#'),
      std::string(kBarWidth - filled, '.'),
      share * 100,
      done_runs_,
      total_runs_,
      running,
      HumanCount(SumOfValues(rates_)),
      HumanSeconds(elapsed),
      left);
}

void Progress::Print(const std::string& line) {
  Erase();
  TellText(line + "\n", out_);
}

void Progress::Erase() {
  if (bar_shown_) TellText(kEraseLine, out_);
  bar_shown_ = false;
}

}  // namespace sweep
