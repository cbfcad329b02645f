// SPDX-License-Identifier: Apache-2.0
//
// Runs of one script, for the pre-tokenizer UnicodeScripts.
#pragma once

#include <string>
#include <string_view>

namespace omg::huggingface {

/// True for the name of a script of Unicode 14, written in small letters and nothing else.
bool is_script(std::string_view plain_name);

/// A regular expression whose matches are runs of characters of one script of Unicode 14. Kana
/// counts as Han, as does U+30FC; spaces and characters of no script belong to the run before them.
std::string script_runs_expression();

}  // namespace omg::huggingface
