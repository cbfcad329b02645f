// SPDX-License-Identifier: Apache-2.0
//
// Which model of the store a typed name means.
#pragma once

#include <optional>
#include <string>

#include "store/store.h"

namespace omg {

/// The model of that very name, or of the name in another spelling.
std::optional<StoreName> find_spelling(const Store& store, const std::string& text);

/// The model of that very name; of the name in another spelling ("hf.co/org/repo", ":latest"); and
/// for a repository without a quantisation, the one of its models that was used or installed last.
std::optional<StoreName> find_installed(const Store& store, const std::string& text);

/// As find_installed(), but throws Error(kNotFound) with near names and what brings the model here.
StoreName require_installed(const Store& store, const std::string& text);

/// For what deletes: as require_installed(), but where several models of a repository may be meant
/// it chooses none: Error(kInvalidArgument) with their names. So for what is built in.
StoreName require_only_installed(const Store& store, const std::string& text);

}  // namespace omg
