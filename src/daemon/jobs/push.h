// SPDX-License-Identifier: Apache-2.0
//
// A model of the store into a registry, in the form that Ollama's models have there.
#pragma once

#include <functional>
#include <string>

#include "base/cancellation.h"
#include "hub/registry/registry.h"
#include "store/store.h"

namespace omg {

struct PushReport {
  std::string name;  // where it is now
  Digest manifest;   // of the manifest there
  size_t blobs = 0;
  uint64_t sent = 0;  // bytes
  size_t already_there = 0;
};

/// Sends what the registry lacks of the model, its manifest last. A model that came from a registry
/// keeps its manifest byte for byte, so that its digest stays; for others one is made. References
/// whose digest is not known yet are hashed for it. Error(kUnsupported) for what has no .gguf, or
/// more than one part: registries of this kind keep one.
PushReport push_model(Store& store, Registry& registry, const StoreName& model,
                      const RegistryName& destination,
                      const std::function<void(const PushProgress&)>& progress,
                      const CancellationToken& cancellation);

}  // namespace omg
