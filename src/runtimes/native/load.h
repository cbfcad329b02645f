// SPDX-License-Identifier: Apache-2.0
//
// Where a model's chat template comes from.
#pragma once

#include <optional>
#include <string>

#include "formats/metadata.h"
#include "text/tokenizer/tokenizer.h"

namespace omg {

struct FoundTemplate {
  std::string source;
  std::string default_name;  // of the family's usual one; empty where the file brings its own
};

/// The file's template, or the one that is usual for its family and vocabulary. Without a tokenizer
/// only the file's.
std::optional<FoundTemplate> find_chat_template(const Metadata& metadata,
                                                const Tokenizer* tokenizer);

}  // namespace omg
