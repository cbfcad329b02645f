// SPDX-License-Identifier: Apache-2.0
//
// The store that commands work on, and how they speak of what is in it.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "daemon/settings/settings.h"
#include "store/store.h"

namespace omg::cli {

/// With the models that are built in; also where nothing can be written.
StoreOptions store_options(const Settings& settings);
/// The store of the configured folder (OMG_MODELS, the file), or of the usual place.
Store open_store();

/// "3 hours ago", "never" for nothing.
std::string format_age(std::optional<int64_t> seconds_since_1970);

/// All that listings show of a model.
json::object model_to_json(const ListedModel& listed);

}  // namespace omg::cli
