#include "orchestrator/sweep_file/field.h"

namespace sweep {

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
      {.name = "kind",
       .required = true,
       .doc = "Name of the tokenizer; clip_train knows word and clip_bpe."},
      {.name = "file",
       .doc = "Its vocabulary: an absolute path, or one relative to the folder of shipped data."},
      {.name = "content", .doc = "Identity of the vocabulary, where the file is not at hand."},
      {.name = "parts_of_speech",
       .doc = "Word list that text_reduction syntax ranks by, relative to the folder of shipped "
              "data."},
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
