// SPDX-License-Identifier: Apache-2.0
//
// Formats that are recognised by a marker in the template's text, for templates that do not write
// the assistant's calls or reasoning themselves: they tell the model how to, or leave it to its
// training.
#pragma once

#include <optional>
#include <string_view>

#include "text/tools/tool_format.h"

namespace omg {

/// A format that does not come apart into markers (harmony).
std::optional<ToolFormat> known_whole_format(std::string_view template_source);

/// These fill in what probing has left open.
void add_known_reasoning(std::string_view template_source, ToolFormat& format);
void add_known_calls(std::string_view template_source, ToolFormat& format);

}  // namespace omg
