// SPDX-License-Identifier: Apache-2.0
//
// Settings that a registry keeps as layers of a model, as Ollama's models have them.
#pragma once

#include "store/store.h"

namespace omg {

/// Reads the model's small layers (template, system, params, messages, license) out of the store
/// into its settings. Layers that are too large or no valid JSON are Error(kCorrupt).
void read_registry_settings(const Store& store, StoredModel& model);

}  // namespace omg
