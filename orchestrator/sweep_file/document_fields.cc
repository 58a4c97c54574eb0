#include "orchestrator/sweep_file/field.h"

namespace sweep {

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
      {.name = "only",
       .type = FieldType::kTexts,
       .doc = "Ids of runs, or how they begin: of all that the file describes these alone, and "
              "those they start from."},
      {.name = "chosen_by",
       .doc = "What chose these runs by the results of earlier ones; fits to them say so."},
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
      {.name = "kind",
       .type = FieldType::kChoice,
       .choices = {"final", "cooldown", "trunk", "intermediate", "all"},
       .doc = "Which kind of points: ends of ordinary runs, of cooldown branches, of their trunks, "
              "checkpoints on the way, or all mixed; by default final or cooldown, whichever are "
              "more."},
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

}  // namespace sweep
