// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/token_table.h"

#include <algorithm>

namespace omg::huggingface {
namespace {

/// Ids with no token between those with one; published files have at most a few thousand.
constexpr size_t kMaxUnused = 1u << 17;

}  // namespace

TokenTable::TokenTable(std::span<const Entry> model, const JsonNode& where)
    : model_size_(model.size()) {
  if (model.size() > kMaxTokens) where.exceeds("tokens", model.size(), kMaxTokens);
  size_t bytes = 0;
  uint32_t last = 0;
  for (const Entry& entry : model) {
    check_id(entry.id, where);
    bytes += entry.text.size();
    last = std::max(last, entry.id);
  }
  if (!model.empty()) texts_.resize(size_t{last} + 1);
  arena_.reserve(bytes);  // so that no view moves
  std::vector<bool> taken(texts_.size());
  std::vector<StringMap::Entry> entries;
  entries.reserve(model.size());
  for (const Entry& entry : model) {
    if (taken[entry.id])
      where.fail("gives the id " + std::to_string(entry.id) + " to two tokens, one of them " +
                 in_quotes(entry.text));
    taken[entry.id] = true;
    const size_t start = arena_.size();
    arena_ += entry.text;
    const std::string_view text = std::string_view(arena_).substr(start);
    texts_[entry.id] = text;
    entries.push_back({text, static_cast<TokenId>(entry.id)});
  }
  model_.set_all(entries);
}

void TokenTable::check_id(uint32_t id, const JsonNode& where) const {
  if (id < model_size_ + kMaxUnused + added_texts_.size()) return;
  where.fail("holds the id " + std::to_string(id) + ", but there are only " +
             std::to_string(model_size_) + " tokens");
}

void TokenTable::add(std::string_view text, TokenId id, const JsonNode& where) {
  check_id(static_cast<uint32_t>(id), where);
  const auto index = static_cast<size_t>(id);
  if (index >= texts_.size()) texts_.resize(index + 1);
  if (texts_[index].empty()) {
    texts_[index] = added_texts_.emplace_back(text);
  } else if (texts_[index] != text) {
    where.fail("gives the id " + std::to_string(id) + " to " + in_quotes(text) +
               ", but it is that of " + in_quotes(texts_[index]));
  }
  added_.set(texts_[index], id);
}

}  // namespace omg::huggingface
