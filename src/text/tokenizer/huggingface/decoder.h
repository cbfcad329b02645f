// SPDX-License-Identifier: Apache-2.0
//
// The decoders of tokenizer.json: a token's text to the bytes that it stands for, one token at a
// time. What a decoder does at the beginning of a text is all that depends on the place.
// Source: https://huggingface.co/docs/tokenizers/api/decoders
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/huggingface/json_node.h"

namespace omg::huggingface {

/// Immutable after construction.
class Decoder {
 public:
  /// Of a file that names none: tokens are words with a space between them.
  Decoder();
  /// Error(kUnsupported) naming a type that is not known, or that would need the tokens around it.
  explicit Decoder(const JsonNode& node);

  std::string decode(std::string_view token) const;
  /// A space at the very beginning of a text is not part of it.
  bool strips_leading_space() const { return strips_leading_space_; }
  /// Tokens stand for bytes through the byte alphabet.
  bool is_byte_level() const { return is_byte_level_; }

 private:
  using Step = std::function<std::string(std::string)>;
  void add(const JsonNode& node, size_t depth);
  void add_sequence(const JsonNode& node, size_t depth);
  void add_strip(const JsonNode& node);
  void add_replace(const JsonNode& node);
  void add_metaspace(const JsonNode& node);
  void add_word_piece(const JsonNode& node);

  std::vector<Step> steps_;
  bool strips_leading_space_ = false;
  bool is_byte_level_ = false;
  bool fused_ = false;  // while reading: what follows works on the whole text
};

}  // namespace omg::huggingface
