// SPDX-License-Identifier: Apache-2.0
//
// The switch for models that think before they answer. Models do not agree on its name: each reads
// a variable of its own in the chat template.
#pragma once

#include <string>
#include <string_view>

#include "base/json.h"

namespace omg::cli {

/// True if a template's statements or expressions use this variable; its text and its strings do
/// not count.
bool template_uses(std::string_view source, std::string_view variable);

/// Variables that set thinking to "true", "false", "low", "medium" or "high" in a template.
/// Error(kInvalidArgument) for another value; Error(kUnsupported) when the template has no such
/// switch.
json::object thinking_variables(std::string_view source, std::string_view value);

}  // namespace omg::cli
