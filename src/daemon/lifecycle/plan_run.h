// SPDX-License-Identifier: Apache-2.0
//
// Which file a model of the store is loaded from, what that takes, and what makes two loads one.
#pragma once

#include <cstdint>
#include <string>

#include "daemon/lifecycle/memory_budget.h"
#include "store/store.h"

namespace omg {

/// Two models with equal keys load the same: weights, adapters and projectors by their digests (or
/// by their places, where no digest is known), and the template that replaces the file's.
std::string run_key(const StoredModel& model);

/// The .gguf to load, under its own name beside the other parts of a split model.
/// Error(kUnsupported) where there is none, or where an adapter or the like would be left out.
std::string weights_path(Store& store, UsedModel& used);

/// By plan_memory(), from the file's head: no weight is read. What was planned when the model was
/// installed is not taken, since threads, cache type and version may be others now.
/// `threads` 0: all; `kv_type` of kKvTypes: Error(kInvalidArgument) for another.
/// `stores_prefixes`: with the memory that prefix storage takes.
RunNeeds plan_run(const std::string& path, uint32_t threads, uint32_t max_sequences,
                  const std::string& kv_type, bool stores_prefixes = false);

}  // namespace omg
