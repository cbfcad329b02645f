// SPDX-License-Identifier: Apache-2.0
//
// The tokens of a Hugging Face file: texts by id, and ids by text, first of the model's vocabulary
// and then of the tokens that were added to it.
#pragma once

#include <deque>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/flat_map.h"
#include "text/tokenizer/huggingface/json_node.h"
#include "text/tokenizer/tokenizer.h"

namespace omg::huggingface {

/// 60 times the largest vocabulary there is.
inline constexpr size_t kMaxTokens = 1u << 24;

/// Not movable: the indexes hold views of its own texts. Immutable once the tokenizer is built.
class TokenTable {
 public:
  struct Entry {
    std::string_view text;
    uint32_t id;
  };

  /// Copies the texts. Error(kCorrupt) at `where` for an id that stands twice or lies far beyond
  /// the number of tokens, as a table of all ids is made; Error(kLimitExceeded) for too many.
  TokenTable(std::span<const Entry> model, const JsonNode& where);
  TokenTable(const TokenTable&) = delete;

  /// Error(kCorrupt) at `where` if the id belongs to another text.
  void add(std::string_view text, TokenId id, const JsonNode& where);

  /// One more than the largest id.
  size_t size() const { return texts_.size(); }
  size_t model_size() const { return model_size_; }
  bool contains(TokenId id) const { return id >= 0 && static_cast<size_t>(id) < texts_.size(); }
  /// Empty for an id that no token has.
  std::string_view text(TokenId id) const { return texts_[static_cast<size_t>(id)]; }
  /// -1 when there is none.
  TokenId find_in_model(std::string_view text) const { return model_.find(text); }
  /// The index behind find_in_model(), for many look-ups at once.
  const StringMap& model_index() const { return model_; }
  /// Added tokens first.
  TokenId find(std::string_view text) const {
    const TokenId id = added_.find(text);
    return id >= 0 ? id : model_.find(text);
  }

 private:
  void check_id(uint32_t id, const JsonNode& where) const;

  std::string arena_;
  std::deque<std::string> added_texts_;  // a deque never moves them
  std::vector<std::string_view> texts_;
  StringMap model_;
  StringMap added_;
  size_t model_size_ = 0;  // number of entries
};

}  // namespace omg::huggingface
