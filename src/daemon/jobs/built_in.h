// SPDX-License-Identifier: Apache-2.0
//
// The models that are linked into the program, as the store has models.
#pragma once

#include <string>
#include <vector>

#include "store/stored_model.h"

namespace omg {

/// For StoreOptions::built_in. Reads the head of each (1 ms).
std::vector<StoredModel> built_in_models();

/// "'guide' is built in: …", for whoever wants it brought here.
std::string nothing_to_fetch(const StoredModel& model);

}  // namespace omg
