// SPDX-License-Identifier: Apache-2.0
//
// What loading a model will take, from its file's metadata alone: no weight is read.
#pragma once

#include <cstdint>

#include "engine/kernels/kv_type.h"
#include "formats/model_file.h"

namespace omg {

struct MemoryPlanOptions {
  uint32_t max_batch_tokens = 512;
  uint32_t max_sequences = 1;  // each has logits of its own
  uint32_t threads = 0;        // 0: what affinity and the cgroup quota allow
  KvType kv_type = KvType::kF16;
};

struct MemoryPlan {
  uint64_t weights_bytes = 0;  // in the kernels' layout
  uint64_t kv_bytes_per_token = 0;
  uint64_t scratch_bytes = 0;     // if steps are as large as they may be
  uint64_t kv_storage_bytes = 0;  // besides, where EngineOptions::kv_storage has a file

  /// With EngineOptions::kv_capacity_tokens of so many.
  uint64_t total_bytes(uint64_t context) const {
    return weights_bytes + scratch_bytes + kv_bytes_per_token * context;
  }
};

/// What Engine::load() takes for this file. Throws what it throws: a family that cannot run,
/// tensors that are missing or of a wrong shape.
MemoryPlan plan_memory(const ModelFile& file, const MemoryPlanOptions& options = {});

}  // namespace omg
