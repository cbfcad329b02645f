// SPDX-License-Identifier: Apache-2.0
//
// One pass over the text collects every place where a special token stands; a text without any,
// the usual case, costs one table look-up a byte. Then the places are taken in order of precedence
// as far as they are still free.
#include "text/tokenizer/special_matcher.h"

#include <algorithm>

namespace omg {
namespace {

bool is_ascii_space(char c) {
  return c == ' ' || (c >= '\t' && c <= '\r');
}

}  // namespace

SpecialMatcher::SpecialMatcher(const Vocabulary& vocabulary) : vocabulary_(vocabulary) {
  for (size_t i = 0; i < vocabulary.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    const bool always = vocabulary.type(id) == TokenType::kUserDefined;
    // Of equal texts only the one that is found by text counts.
    if ((!always && !vocabulary.is_hidden(id)) || vocabulary.find(vocabulary.text(id)) != id)
      continue;
    const std::string_view text = vocabulary.text(id);
    const auto first = static_cast<uint8_t>(text[0]);
    starts_any_[first] = true;
    if (always) starts_user_defined_[first] = true;
    uint32_t node = 0;
    for (const char c : text) {
      const uint64_t edge = uint64_t{node} << 8 | static_cast<uint8_t>(c);
      const auto [place, added] =
          edges_.try_emplace(edge, static_cast<uint32_t>(terminals_.size()));
      if (added) terminals_.push_back(-1);
      node = place->second;
    }
    terminals_[node] = id;
  }
}

std::vector<SpecialMatcher::Match> SpecialMatcher::find_all(std::string_view text,
                                                            bool parse_special) const {
  std::vector<Match> matches;
  const auto& starts = parse_special ? starts_any_ : starts_user_defined_;
  for (size_t start = 0; start < text.size(); ++start) {
    if (!starts[static_cast<uint8_t>(text[start])]) continue;
    uint32_t node = 0;
    for (size_t i = start; i < text.size(); ++i) {
      const auto edge = edges_.find(uint64_t{node} << 8 | static_cast<uint8_t>(text[i]));
      if (edge == edges_.end()) break;
      node = edge->second;
      const TokenId id = terminals_[node];
      if (id >= 0 && (parse_special || vocabulary_.type(id) == TokenType::kUserDefined))
        matches.push_back({id, start});
    }
  }
  return matches;
}

std::vector<Fragment> SpecialMatcher::partition(std::string_view text, bool parse_special) const {
  if (text.empty()) return {};
  std::vector<Match> matches = find_all(text, parse_special);
  if (matches.empty()) return {{0, text.size(), -1}};
  const auto length = [&](const Match& match) { return vocabulary_.text(match.token).size(); };
  std::sort(matches.begin(), matches.end(), [&](const Match& a, const Match& b) {
    if (length(a) != length(b)) return length(a) > length(b);
    if (a.token != b.token) return a.token < b.token;
    return a.start < b.start;
  });

  std::vector<bool> taken(text.size());
  std::vector<Fragment> tokens;
  for (const Match& match : matches) {
    const size_t end = match.start + length(match);
    bool free = true;
    for (size_t i = match.start; free && i < end; ++i) free = !taken[i];
    if (!free) continue;
    for (size_t i = match.start; i < end; ++i) taken[i] = true;
    tokens.push_back({match.start, length(match), match.token});
    if (vocabulary_.strips_left(match.token)) {
      for (size_t i = match.start; i > 0 && !taken[i - 1] && is_ascii_space(text[i - 1]); --i)
        taken[i - 1] = true;
    }
    if (vocabulary_.strips_right(match.token)) {
      for (size_t i = end; i < text.size() && !taken[i] && is_ascii_space(text[i]); ++i)
        taken[i] = true;
    }
  }
  std::sort(tokens.begin(), tokens.end(),
            [](const Fragment& a, const Fragment& b) { return a.start < b.start; });

  std::vector<Fragment> fragments;
  size_t next_token = 0;
  for (size_t i = 0; i < text.size();) {
    if (next_token < tokens.size() && tokens[next_token].start == i) {
      fragments.push_back(tokens[next_token]);
      i += tokens[next_token++].length;
    } else if (taken[i]) {
      ++i;
    } else {
      const size_t start = i;
      while (i < text.size() && !taken[i]) ++i;
      fragments.push_back({start, i - start, -1});
    }
  }
  return fragments;
}

}  // namespace omg
