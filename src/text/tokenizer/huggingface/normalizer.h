// SPDX-License-Identifier: Apache-2.0
//
// The normalizers of tokenizer.json: what happens to a text before it is cut into words.
// Source: https://huggingface.co/docs/tokenizers/api/normalizers
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "text/tokenizer/huggingface/json_node.h"

namespace omg::huggingface {

/// Immutable after construction: many threads may use it at once.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  /// Never fails on a published file's rules, whatever the text; Error(kLimitExceeded) where rules
  /// make a text grow without measure.
  virtual std::string normalize(std::string_view text) const = 0;
};

/// Error(kUnsupported) naming a type that is not known.
std::unique_ptr<Normalizer> read_normalizer(const JsonNode& node);

}  // namespace omg::huggingface
