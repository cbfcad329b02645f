// SPDX-License-Identifier: Apache-2.0
//
// Names that a mistyped one may have meant.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace omg {

/// Those of `candidates` that a mistyped `text` may have meant, nearest first.
std::vector<std::string> near_names(std::string_view text,
                                    const std::vector<std::string>& candidates, size_t most = 3);
/// "; did you mean a, b or c?", or "" for none.
std::string did_you_mean(const std::vector<std::string>& names);

}  // namespace omg
