// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/added_tokens.h"

#include <utility>

#include "base/utf8.h"
#include "text/tokenizer/huggingface/unicode.h"

namespace omg::huggingface {
namespace {

constexpr size_t kMaxContent = 1024;

/// Of equal texts the first stands, and of a trie's equal entries the last. Contents may be empty:
/// normalization may have left nothing of a token.
std::vector<ByteTrie::Entry> entries_of(const std::vector<std::string>& contents) {
  std::vector<ByteTrie::Entry> entries;
  for (size_t i = contents.size(); i-- > 0;)
    entries.push_back({contents[i], static_cast<int32_t>(i)});
  return entries;
}

/// Start of the last character of `text`, which is not empty.
size_t last_character(std::string_view text) {
  size_t start = text.size() - 1;
  while (start > 0 && text.size() - start < 4 &&
         (static_cast<uint8_t>(text[start]) & 0xC0) == 0x80) {
    --start;
  }
  return decode_utf8(text, start).size == text.size() - start ? start : text.size() - 1;
}

bool ends_with_word(std::string_view text) {
  if (text.empty()) return false;
  const DecodedCodePoint point = decode_utf8(text, last_character(text));
  return point.valid && is_word_character(point.value);
}

bool starts_with_word(std::string_view text) {
  if (text.empty()) return false;
  const DecodedCodePoint point = decode_utf8(text, 0);
  return point.valid && is_word_character(point.value);
}

size_t leading_space(std::string_view text) {
  size_t size = 0;
  while (size < text.size()) {
    const DecodedCodePoint point = decode_utf8(text, size);
    if (!point.valid || !is_white_space(point.value)) break;
    size += point.size;
  }
  return size;
}

size_t trailing_space(std::string_view text) {
  const size_t size = text.size();
  while (!text.empty()) {
    const size_t last = last_character(text);
    const DecodedCodePoint point = decode_utf8(text, last);
    if (!point.valid || !is_white_space(point.value)) break;
    text = text.substr(0, last);
  }
  return size - text.size();
}

}  // namespace

AddedToken read_added_token(const JsonNode& node, bool special) {
  AddedToken token;
  token.special = special;
  token.normalized = !special;
  if (node.value().is_string()) {
    token.content = node.as_string();
  } else {
    token.content = node.get("content").as_string();
    token.special = node.bool_or("special", special);
    token.normalized = node.bool_or("normalized", !token.special);
    token.single_word = node.bool_or("single_word", false);
    token.lstrip = node.bool_or("lstrip", false);
    token.rstrip = node.bool_or("rstrip", false);
  }
  if (token.content.size() > kMaxContent) node.exceeds("bytes", token.content.size(), kMaxContent);
  return token;
}

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens,
                                     const std::vector<std::string>& contents)
    : tokens_(std::move(tokens)), trie_(entries_of(contents)) {
  for (const std::string& content : contents) {
    if (!content.empty()) starts_[static_cast<uint8_t>(content[0])] = true;
  }
}

bool AddedTokenMatcher::find(std::string_view text, size_t from, Match& match) const {
  for (size_t start = from; start < text.size(); ++start) {
    if (!starts_[static_cast<uint8_t>(text[start])]) continue;
    const ByteTrie::Match found = trie_.longest(text.substr(start));
    if (found.length == 0) continue;
    match = {start, start + found.length, &tokens_[static_cast<size_t>(found.value)]};
    return true;
  }
  return false;
}

void AddedTokenMatcher::partition(std::string_view text, bool parse_special,
                                  std::vector<Fragment>& fragments) const {
  size_t done = 0;
  Match match;
  for (size_t from = 0; find(text, from, match); from = match.end) {
    const AddedToken& token = *match.token;
    if (token.special && !parse_special) continue;
    if (match.start < done) continue;  // the token before has taken its beginning as whitespace
    if (token.single_word &&
        (ends_with_word(text.substr(0, match.start)) || starts_with_word(text.substr(match.end)))) {
      continue;
    }
    size_t start = match.start, end = match.end;
    if (token.lstrip) start -= trailing_space(text.substr(done, start - done));
    if (token.rstrip) end += leading_space(text.substr(end));
    if (start > done) fragments.push_back({done, start - done, -1});
    fragments.push_back({start, end - start, token.id});
    done = end;
  }
  if (done < text.size()) fragments.push_back({done, text.size() - done, -1});
}

}  // namespace omg::huggingface
