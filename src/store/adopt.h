// SPDX-License-Identifier: Apache-2.0
//
// What other tools already hold, as models of references: nothing is copied, nothing is hashed, and
// only small files are read. Digests come from the foreign layouts' own file names where these are
// digests. All functions only read; hand the models to Store::publish.
//
//   for (StoredModel& model : scan_models(files, path).models) store.publish(std::move(model));
//
// Layouts are taken as hostile: a link that leaves its tool's folder, a name with "..", a manifest
// that is huge or no JSON becomes a line in `problems`, and the rest is read on.
#pragma once

#include <string>
#include <vector>

#include "base/file_system.h"
#include "store/store.h"
#include "store/stored_model.h"

namespace omg {

enum class ForeignLayout {
  kHuggingFaceCache,  // hub/ with models--org--repo, or one of these
  kOllama,            // models/ with manifests/ and blobs/
  kLmStudio,          // publisher/repo/file.gguf
  kModelFolder,       // config.json and safetensors, or .gguf files
  kFile,              // one .gguf; of a split model any part, all are taken
};

struct FoundModels {
  ForeignLayout layout = ForeignLayout::kFile;
  std::vector<StoredModel> models;
  std::vector<StoreProblem> problems;  // what was passed over, and why
};

/// Which layout a path has. Error(kNotFound) where there is nothing, Error(kInvalidArgument) where
/// there is nothing that looks like models.
ForeignLayout detect_layout(FileSystem& files, const std::string& path);

/// Finds the models at `path` by its layout. Names: "org/repo:QUANT" or "org/repo" for Hugging Face
/// and LM Studio, "name:tag" for Ollama's library ("registry.ollama.ai/ns/name:tag" and the like
/// for its other hosts, "org/repo:QUANT" for hf.co), the file's or folder's own name for others.
FoundModels scan_models(FileSystem& files, const std::string& path);

/// Where the tools keep their models on this machine, as their own variables say (HF_HUB_CACHE,
/// HF_HOME, OLLAMA_MODELS, …); only folders that exist.
std::vector<std::string> foreign_model_folders(FileSystem& files);

}  // namespace omg
