#include "orchestrator/sweep_file/field.h"

namespace sweep {

const FieldTable& RunFields() {
  static const FieldTable fields = {
      {.name = "model",
       .type = FieldType::kModel,
       .required = true,
       .doc = "Which model is trained; `sweep models` lists the names."},
      {.name = "dataset",
       .type = FieldType::kDataset,
       .required = true,
       .doc = "Which pairs it is trained on."},
      {.name = "data_scale",
       .type = FieldType::kCount,
       .least = 1,
       .unit = "pairs",
       .doc = "Number of distinct pairs: the first of the data set's seeded order, so a smaller "
              "set is "
              "part of a larger one; by default all the data set has."},
      {.name = "samples_seen",
       .type = FieldType::kCount,
       .required = true,
       .least = 1,
       .unit = "pairs",
       .doc =
           "Pairs processed, repeats counted; rounded up to whole steps, and the rounded number is "
           "what is stored and fitted."},
      {.name = "global_batch_size",
       .type = FieldType::kCount,
       .required = true,
       .least = 2,
       .unit = "pairs",
       .doc = "Pairs an optimizer step, over all devices."},
      {.name = "learning_rate",
       .type = FieldType::kNumber,
       .required = true,
       .least = 0,
       .least_is_outside = true,
       .doc = "Peak rate, reached at the end of the warm-up."},
      {.name = "weight_decay",
       .type = FieldType::kNumber,
       .fallback = "0.2",
       .least = 0,
       .doc = "Decoupled weight decay (AdamW); not applied to gains, biases and the logit scale."},
      {.name = "beta1",
       .type = FieldType::kNumber,
       .fallback = "0.9",
       .least = 0,
       .most = 1,
       .most_is_outside = true,
       .doc = "AdamW's decay of the first moment."},
      {.name = "beta2",
       .type = FieldType::kNumber,
       .fallback = "0.98",
       .least = 0,
       .most = 1,
       .most_is_outside = true,
       .doc = "AdamW's decay of the second moment."},
      {.name = "eps",
       .type = FieldType::kNumber,
       .fallback = "1e-6",
       .least = 0,
       .least_is_outside = true,
       .doc = "AdamW's term against division by zero."},
      {.name = "grad_clip_norm",
       .type = FieldType::kNumber,
       .fallback = "0",
       .least = 0,
       .doc = "Global L2 norm that gradients are clipped to; 0 is off."},
      {.name = "schedule",
       .type = FieldType::kChoice,
       .fallback = "\"cosine\"",
       .choices = {"cosine", "constant"},
       .doc = "Learning rate after the warm-up: cosine to 0 over the run, or constant."},
      {.name = "warmup_steps",
       .type = FieldType::kCount,
       .fallback = "0",
       .least = 0,
       .unit = "steps",
       .doc = "Steps of linear warm-up."},
      {.name = "precision",
       .type = FieldType::kChoice,
       .fallback = "\"fp32\"",
       .choices = {"fp32", "bf16"},
       .doc = "Arithmetic of forward and backward passes."},
      {.name = "seed",
       .type = FieldType::kCount,
       .fallback = "0",
       .least = 0,
       .doc = "Seed of the initialisation and of the data order."},
      {.name = "start",
       .type = FieldType::kStart,
       .fallback = "\"scratch\"",
       .doc = "Where the weights come from: scratch, another run of this sweep, or a file."},
  };
  return fields;
}

const FieldTable& DocumentFields() {
  static const FieldTable fields = {
      {.name = "$schema", .doc = "Where editors find the JSON Schema; not used by sweep."},
      {.name = "version",
       .type = FieldType::kCount,
       .required = true,
       .least = 1,
       .most = 1,
       .doc = "Version of this format."},
      {.name = "name",
       .required = true,
       .doc = "Label of the sweep in reports; not a part of any run's identity."},
      {.name = "description", .doc = "What the sweep is for."},
      {.name = "grid",
       .type = FieldType::kObject,
       .doc = "Run field to array of values; every combination is a run."},
      {.name = "fixed",
       .type = FieldType::kObject,
       .doc = "Run field to the value all runs share."},
      {.name = "derive",
       .type = FieldType::kObject,
       .doc =
           "Run field to an expression over the other fields, steps, params and gmacs_per_sample."},
      {.name = "generate",
       .type = FieldType::kObject,
       .doc = "A rule that makes pairs of model and samples_seen, crossed with the grid."},
      {.name = "include",
       .type = FieldType::kObject,
       .doc = "Further runs, each an object of fields laid over `fixed`."},
      {.name = "exclude",
       .type = FieldType::kObject,
       .doc =
           "Objects of fields; a grid run that agrees with all fields of one of them is left out."},
      {.name = "models",
       .type = FieldType::kObject,
       .doc = "Model definitions of this file, by name."},
      {.name = "datasets",
       .type = FieldType::kObject,
       .doc = "Data set definitions of this file, by name."},
      {.name = "evaluations",
       .type = FieldType::kObject,
       .doc = "What every run is evaluated on: names, or definitions with a name."},
      {.name = "curves",
       .type = FieldType::kObject,
       .doc =
           "Data set name to the curve its runs belong to; by default each data set is a curve."},
      {.name = "fits", .type = FieldType::kObject, .doc = "The laws to fit when runs are done."},
      {.name = "executor",
       .type = FieldType::kObject,
       .doc = "Where and how many runs work at once."},
      {.name = "trainer", .type = FieldType::kObject, .doc = "The program that trains."},
  };
  return fields;
}

const FieldTable& ExecutorFields() {
  static const FieldTable fields = {
      {.name = "kind",
       .type = FieldType::kChoice,
       .fallback = "\"local\"",
       .choices = {"local", "slurm"},
       .doc = "Processes on this machine, or jobs of a Slurm cluster."},
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
      {.name = "nodes_per_run",
       .type = FieldType::kCount,
       .fallback = "1",
       .least = 1,
       .unit = "nodes",
       .doc = "Slurm: nodes of one run."},
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
       .doc = "Slurm: time limit of a job."},
      {.name = "max_running",
       .type = FieldType::kCount,
       .least = 1,
       .unit = "jobs",
       .doc = "Slurm: jobs of an array that may run at once."},
      {.name = "partition", .doc = "Slurm: partition."},
      {.name = "account", .doc = "Slurm: account."},
      {.name = "qos", .doc = "Slurm: quality of service."},
      {.name = "constraint", .doc = "Slurm: node features."},
      {.name = "lines",
       .type = FieldType::kTexts,
       .doc = "Slurm: further options of sbatch, one a line, as \"--mem-per-gpu=100G\"."},
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
      {.name = "device",
       .type = FieldType::kChoice,
       .fallback = "\"auto\"",
       .choices = {"auto", "cpu", "cuda"},
       .doc = "Where it computes."},
  };
  return fields;
}

const FieldTable& FitFields() {
  static const FieldTable fields = {
      {.name = "law", .required = true, .doc = "Name of the law; `sweep laws` lists them."},
      {.name = "select",
       .doc =
           "Which points it is fitted to: all, pareto, binned:5, quantile:0.1:5; by default what "
           "the curve says."},
      {.name = "residual", .doc = "Space in which misfit is measured: log or linear."},
      {.name = "loss", .doc = "squared, huber:1e-3, lad, cauchy:c or tukey:c."},
      {.name = "intervals", .doc = "auto, t, profile, delta, bootstrap:1000 or none."},
      {.name = "level",
       .type = FieldType::kNumber,
       .fallback = "0.95",
       .least = 0,
       .most = 1,
       .least_is_outside = true,
       .most_is_outside = true,
       .doc = "Coverage of the intervals."},
      {.name = "fix",
       .type = FieldType::kObject,
       .doc = "Parameters held at a value: name to number."},
      {.name = "bounds",
       .type = FieldType::kObject,
       .doc = "Narrower ranges of parameters: name to [lower, upper]."},
      {.name = "curves", .type = FieldType::kTexts, .doc = "Which curves; by default all."},
      {.name = "evaluations",
       .type = FieldType::kTexts,
       .doc = "Which evaluations; by default all."},
      {.name = "metrics",
       .type = FieldType::kTexts,
       .doc = "Which metrics; by default each task's main one."},
  };
  return fields;
}

const FieldTable& GenerateFields() {
  static const FieldTable fields = {
      {.name = "models",
       .type = FieldType::kTexts,
       .required = true,
       .doc = "Names of the models to pair."},
      {.name = "samples_seen",
       .type = FieldType::kObject,
       .doc = "Range of lengths, the same for every model: a log-spaced grid."},
      {.name = "compute_gmacs",
       .type = FieldType::kObject,
       .doc = "Range of forward GMACs of one run; every model sees as many samples as each of them "
              "pays for: iso-FLOP profiles."},
      {.name = "least_samples",
       .type = FieldType::kCount,
       .least = 1,
       .unit = "pairs",
       .doc = "Shorter runs are left out."},
      {.name = "most_samples",
       .type = FieldType::kCount,
       .least = 1,
       .unit = "pairs",
       .doc = "Longer runs are left out."},
      {.name = "budget_gmacs",
       .type = FieldType::kNumber,
       .least = 0,
       .least_is_outside = true,
       .unit = "GMACs",
       .doc = "Forward GMACs of all grid runs together: the most expensive runs are left out until "
              "the rest fits."},
      {.name = "cooldown_share",
       .type = FieldType::kNumber,
       .least = 0,
       .most = 1,
       .least_is_outside = true,
       .most_is_outside = true,
       .doc = "Instead of a run of its own, every length is a branch of one trunk: the trunk is "
              "trained at constant rate, and the branch leaves it for this last share of its "
              "samples, over which its rate falls to 0."},
  };
  return fields;
}

const FieldTable& LogRangeFields() {
  static const FieldTable fields = {
      {.name = "from",
       .type = FieldType::kNumber,
       .required = true,
       .least = 0,
       .least_is_outside = true,
       .doc = "Smallest value."},
      {.name = "to",
       .type = FieldType::kNumber,
       .required = true,
       .least = 0,
       .least_is_outside = true,
       .doc = "Largest value."},
      {.name = "count",
       .type = FieldType::kCount,
       .required = true,
       .least = 1,
       .most = 1000,
       .unit = "values",
       .doc = "How many, evenly spaced in the logarithm."},
  };
  return fields;
}

const FieldTable& DatasetFields() {
  static const FieldTable fields = {
      {.name = "extends",
       .type = FieldType::kDataset,
       .doc = "Another data set; the members here are laid over its own."},
      {.name = "kind", .required = true, .doc = "Name of the reader."},
      {.name = "content",
       .required = true,
       .doc =
           "Identity of the underlying files, wherever they lie; a part of every run's identity."},
      {.name = "location", .doc = "Where the files lie on this machine."},
      {.name = "install_hint", .doc = "What to do when they do not."},
      {.name = "tokenizer", .type = FieldType::kObject, .required = true, .doc = "Text to tokens."},
      {.name = "options",
       .type = FieldType::kObject,
       .fallback = "{}",
       .doc = "Settings of the reader."},
      {.name = "size",
       .type = FieldType::kCount,
       .required = true,
       .least = 1,
       .unit = "pairs",
       .doc = "Number of distinct pairs there are."},
      {.name = "source", .doc = "Where the data and the numbers here come from."},
  };
  return fields;
}

const FieldTable& TokenizerFields() {
  static const FieldTable fields = {
      {.name = "kind", .required = true, .doc = "Name of the tokenizer."},
      {.name = "file", .doc = "Its vocabulary, relative to the folder of shipped data."},
      {.name = "content", .doc = "Identity of the vocabulary, where the file is not at hand."},
  };
  return fields;
}

const FieldTable& EvaluationFields() {
  static const FieldTable fields = {
      {.name = "name",
       .doc = "What results are called; needed where it is defined in a sweep file."},
      {.name = "extends", .doc = "Another evaluation; the members here are laid over its own."},
      {.name = "task",
       .type = FieldType::kChoice,
       .required = true,
       .choices = {"zeroshot_classification", "zeroshot_retrieval"},
       .doc = "What is measured."},
      {.name = "kind", .required = true, .doc = "Name of the reader of its data."},
      {.name = "content", .required = true, .doc = "Identity of the underlying files."},
      {.name = "location", .doc = "Where the files lie on this machine."},
      {.name = "install_hint", .doc = "What to do when they do not."},
      {.name = "size",
       .type = FieldType::kCount,
       .required = true,
       .least = 1,
       .unit = "images",
       .doc = "Number of images."},
      {.name = "options",
       .type = FieldType::kObject,
       .fallback = "{}",
       .doc = "Settings of the reader and the task."},
      {.name = "source", .doc = "Where the data and the numbers here come from."},
  };
  return fields;
}

}  // namespace sweep
