// SPDX-License-Identifier: Apache-2.0
//
// Texts made of tags ("</function>\n</tool_call>") cut where tags begin and end.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace omg {

/// Tags (<…>, [NAME]), words between them, each without white space round it. A tag that is opened
/// but not closed reaches to the end.
std::vector<std::string> split_tags(std::string_view text);

/// The same, but with white space as pieces of its own: the pieces joined are the text.
std::vector<std::string_view> split_exactly(std::string_view text);

/// True for what vocabularies have control tokens for: <|…|>, <｜…｜>, [NAME].
bool looks_like_control_token(std::string_view text);

}  // namespace omg
