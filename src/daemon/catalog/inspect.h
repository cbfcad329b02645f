// SPDX-License-Identifier: Apache-2.0
//
// What a model's files say of it, read anew: of a file with 128k tokens that takes some
// milliseconds, so nothing is kept.
#pragma once

#include "base/json.h"
#include "daemon/requests/model_catalog.h"
#include "formats/metadata.h"
#include "store/store.h"

namespace omg {

/// Arrays longer than this are null, unless all is asked for.
inline constexpr size_t kShortArray = 8;

/// Keys in their order. Numbers are as short as their type allows (an F32 of 1e-5 is 1e-5), those
/// that JSON does not have are null, and strings are made UTF-8.
json::object metadata_to_json(const Metadata& metadata, bool all);

/// A model without a .gguf has neither metadata nor tensors. Throws Error where its files are gone,
/// changed or damaged.
ModelInspection inspect_model(Store& store, StoredModel model, bool all_metadata);

}  // namespace omg
