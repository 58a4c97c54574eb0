#include "orchestrator/sweep_file/field.h"

namespace sweep {

const FieldTable& ExecutorFields() {
  static const FieldTable fields = {
      {.name = "kind",
       .type = FieldType::kChoice,
       .fallback = "\"local\"",
       .choices = {"local", "slurm", "command"},
       .doc = "Processes on this machine, jobs of a Slurm cluster, or jobs of another scheduler by "
              "its commands."},
      {.name = "slots",
       .type = FieldType::kCount,
       .least = 1,
       .unit = "runs",
       .doc = "Runs at once; by default as many as processors and GPUs allow."},
      {.name = "threads_per_run",
       .type = FieldType::kCount,
       .fallback = "1",
       .least = 1,
       .unit = "threads",
       .doc = "CPU threads of one run."},
      {.name = "gpus_per_run",
       .type = FieldType::kCount,
       .least = 0,
       .unit = "GPUs",
       .doc = "GPUs of one run; by default one where there are any."},
      {.name = "processes_per_run",
       .type = FieldType::kCount,
       .least = 1,
       .unit = "processes",
       .doc = "Processes that train one run together, each on its share of every batch and with "
              "threads_per_run threads; by default as many as it has GPUs."},
      {.name = "nodes_per_run",
       .type = FieldType::kCount,
       .fallback = "1",
       .least = 1,
       .unit = "nodes",
       .doc = "Schedulers: nodes that the processes of one run are spread over, evenly."},
      {.name = "max_attempts",
       .type = FieldType::kCount,
       .fallback = "2",
       .least = 1,
       .unit = "attempts",
       .doc = "Attempts at one run within one `sweep run`, when its failure may pass."},
      {.name = "time_limit",
       .type = FieldType::kDuration,
       .least = 60,
       .unit = "seconds",
       .doc = "Schedulers: time limit of a job; the most of it with resources_from plan."},
      {.name = "resources_from",
       .type = FieldType::kChoice,
       .fallback = "\"settings\"",
       .choices = {"settings", "plan"},
       .doc = "Schedulers: jobs ask for time_limit alone, or each for the time and, without GPUs, "
              "the memory that `sweep plan` says its run takes, with a margin."},
      {.name = "max_running",
       .type = FieldType::kCount,
       .least = 1,
       .unit = "jobs",
       .doc = "Slurm: jobs of an array that may run at once."},
      {.name = "fits_every",
       .type = FieldType::kDuration,
       .fallback = "60",
       .least = 0,
       .unit = "seconds",
       .doc = "Least time between two rounds of fits while runs are at work; `sweep status` shows "
              "the latest."},
      {.name = "poll_every",
       .type = FieldType::kDuration,
       .fallback = "30",
       .least = 0,
       .least_is_outside = true,
       .unit = "seconds",
       .doc = "Schedulers: time between two questions to the queue, one for all runs."},
      {.name = "answer_timeout",
       .type = FieldType::kDuration,
       .fallback = "60",
       .least = 0,
       .least_is_outside = true,
       .unit = "seconds",
       .doc = "Schedulers: how long one of their commands may take to answer."},
      {.name = "partition", .doc = "Slurm: partition."},
      {.name = "account", .doc = "Slurm: account."},
      {.name = "qos", .doc = "Slurm: quality of service."},
      {.name = "constraint", .doc = "Slurm: node features."},
      {.name = "lines",
       .type = FieldType::kTexts,
       .doc = "Slurm: further options of sbatch, one a line, as \"--mem-per-gpu=100G\"."},
      {.name = "submit",
       .type = FieldType::kTexts,
       .doc = "Command: words that submit {script} as a job called {name}; docs/cluster.md has the "
              "other names in braces."},
      {.name = "poll",
       .type = FieldType::kTexts,
       .doc =
           "Command: words that list the jobs that wait or work, a line each, its number first."},
      {.name = "cancel",
       .type = FieldType::kTexts,
       .doc = "Command: words that end the job {job}."},
      {.name = "job_pattern",
       .fallback = "\"[0-9]+\"",
       .doc =
           "Command: regular expression that finds the job's number in what `submit` prints; its "
           "first group where it has one."},
  };
  return fields;
}

const FieldTable& TrainerFields() {
  static const FieldTable fields = {
      {.name = "command",
       .type = FieldType::kTexts,
       .doc = "Program and first arguments, any that keeps docs/run_directory.md; by default the "
              "clip_train beside sweep."},
      {.name = "checkpoint_every_seconds",
       .type = FieldType::kDuration,
       .fallback = "300",
       .least = 0,
       .least_is_outside = true,
       .unit = "seconds",
       .doc = "Time between checkpoints."},
      {.name = "micro_batch",
       .type = FieldType::kCount,
       .fallback = "0",
       .least = 0,
       .unit = "pairs",
       .doc =
           "Pairs that one process encodes at a time, to save memory: the step is the same; 0 is "
           "its whole share of the batch."},
      {.name = "recompute",
       .type = FieldType::kChoice,
       .fallback = "\"none\"",
       .choices = {"none", "cheap", "blocks"},
       .doc =
           "Activations computed again in the backward pass, to save memory: none, norms and GELU, "
           "or all but the blocks' inputs."},
      {.name = "sharding",
       .type = FieldType::kChoice,
       .fallback = "\"none\"",
       .choices = {"none", "optimizer", "weights"},
       .doc = "What the processes of a run share out instead of each holding all of it, to save "
              "memory: nothing, the optimizer's state, or also weights and gradients."},
      {.name = "data_threads",
       .type = FieldType::kCount,
       .fallback = "1",
       .least = 1,
       .unit = "threads",
       .doc = "Threads of one run that read and decode images."},
      {.name = "cuda_graphs",
       .type = FieldType::kFlag,
       .fallback = "false",
       .doc =
           "On a GPU, record a step once and repeat it in one launch: less work for the host, but "
           "padding of captions is computed. Only with one process a run, whole batches and "
           "precisions other than fp16; elsewhere nothing changes."},
      {.name = "device",
       .type = FieldType::kChoice,
       .fallback = "\"auto\"",
       .choices = {"auto", "cpu", "cuda"},
       .doc = "Where it computes."},
  };
  return fields;
}

}  // namespace sweep
