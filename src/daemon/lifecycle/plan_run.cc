// SPDX-License-Identifier: Apache-2.0
#include "daemon/lifecycle/plan_run.h"

#include "base/digest.h"
#include "base/error.h"
#include "daemon/jobs/describe.h"
#include "daemon/lifecycle/settings_merge.h"
#include "engine/kernels/kv_type.h"
#include "engine/memory_plan.h"
#include "formats/open_model_file.h"

namespace omg {
namespace {

bool is_loaded(const Artifact& artifact) {
  return artifact.role == "weights" || artifact.role == "adapter" || artifact.role == "projector";
}

}  // namespace

std::string run_key(const StoredModel& model) {
  Sha256 hasher;
  const auto add = [&](std::string_view text) {
    hasher.update(std::to_string(text.size()) + ":");
    hasher.update(text);
  };
  for (const Artifact& artifact : model.artifacts) {
    if (!is_loaded(artifact)) continue;
    add(artifact.role);
    add(std::to_string(artifact.size));
    if (artifact.digest) {
      add(artifact.digest->hex());
    } else if (artifact.reference) {
      add(artifact.reference->path);
      add(std::to_string(artifact.reference->modified_ns));
      add(std::to_string(artifact.reference->inode));
    }
  }
  add(template_of(model.settings));
  return hasher.digest().hex();
}

std::string weights_path(Store& store, UsedModel& used) {
  const StoredModel& model = used.model();
  const auto main = main_gguf(model);
  if (!main) {
    throw Error(ErrorCode::kUnsupported,
                "'" + model.name.str() +
                    "' has no .gguf file, which is what this version runs; 'omg show' tells what "
                    "it has");
  }
  for (const Artifact& artifact : model.artifacts) {
    if (artifact.role == "adapter") {
      throw Error(ErrorCode::kUnsupported,
                  "'" + model.name.str() + "' has an adapter (" + artifact.filename +
                      "), which this version cannot apply; use the model that it was made from");
    }
  }
  return store.path_for_reader(used, model.artifacts[*main]);
}

/// What a process has besides is left to the reserve (LifecycleOptions::memory_reserve): about
/// 10 MiB, and 200 bytes for each token of the vocabulary, 25 MiB of 128 Ki.
RunNeeds plan_run(const std::string& path, uint32_t threads, uint32_t max_sequences,
                  const std::string& kv_type, bool stores_prefixes) {
  MemoryPlanOptions options;
  options.threads = threads;
  options.max_sequences = max_sequences;
  const auto type = kv_type_from_name(kv_type);
  if (!type) {
    throw Error(ErrorCode::kInvalidArgument,
                "the KV cache cannot be of type '" + kv_type + "': f16, q8_0, q4_0 or f32 can be");
  }
  options.kv_type = *type;
  const ModelFile file = open_model_file(path);
  const MemoryPlan plan = plan_memory(file, options);
  RunNeeds needs;
  needs.weights_bytes = plan.weights_bytes;
  needs.scratch_bytes = plan.scratch_bytes;
  needs.kv_bytes_per_token = plan.kv_bytes_per_token;
  if (stores_prefixes) needs.scratch_bytes += plan.kv_storage_bytes;
  const std::string family(file.metadata().find_string("general.architecture").value_or(""));
  needs.max_context = file.metadata().find_u32(family + ".context_length").value_or(0);
  return needs;
}

}  // namespace omg
