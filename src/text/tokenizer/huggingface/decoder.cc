// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/decoder.h"

#include <array>
#include <memory>
#include <utility>

#include "base/utf8.h"
#include "text/tokenizer/byte_alphabet.h"
#include "text/tokenizer/huggingface/pattern.h"
#include "text/tokenizer/space_mark.h"
#include "text/tokenizer/vocabulary.h"

namespace omg::huggingface {
namespace {

constexpr size_t kMaxSteps = 64;
constexpr size_t kMaxDepth = 8;
constexpr size_t kMaxContent = 256;

std::string replaced(std::string_view text, std::string_view what, std::string_view by) {
  std::string out;
  size_t done = 0;
  for (size_t at; (at = text.find(what, done)) != std::string_view::npos; done = at + what.size())
    out.append(text.substr(done, at - done)).append(by);
  return out.append(text.substr(done));
}

std::string from_byte_alphabet(std::string text) {
  std::string bytes;
  for (size_t i = 0; i < text.size();) {
    const DecodedCodePoint point = decode_utf8(text, i);
    const int byte = point.valid ? byte_alphabet().byte_of(point.value) : -1;
    if (byte < 0) return text;  // not written in the alphabet: stands for itself
    bytes += static_cast<char>(byte);
    i += point.size;
  }
  return bytes;
}

/// How WordPiece's decoder puts English together again.
void clean_up(std::string& text) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 11> kRules = {{
      {" .", "."},
      {" ?", "?"},
      {" !", "!"},
      {" ,", ","},
      {" ' ", "'"},
      {" n't", "n't"},
      {" 'm", "'m"},
      {" do not", " don't"},
      {" 's", "'s"},
      {" 've", "'ve"},
      {" 're", "'re"},
  }};
  for (const auto& [what, by] : kRules) text = replaced(text, what, by);
}

std::string short_text(const JsonNode& node, std::string_view key, std::string_view absent) {
  const std::string text = node.string_or(key, absent);
  if (text.size() > kMaxContent) node.get(key).exceeds("bytes", text.size(), kMaxContent);
  return text;
}

}  // namespace

Decoder::Decoder() : strips_leading_space_(true) {
  steps_.push_back([](std::string text) { return std::string(1, ' ').append(text); });
}

Decoder::Decoder(const JsonNode& node) {
  add(node, 0);
}

void Decoder::add(const JsonNode& node, size_t depth) {
  const JsonNode type_node = node.get("type");
  const std::string_view type = type_node.as_string();
  if (type == "Sequence") return add_sequence(node, depth + 1);
  if (type == "Strip") return add_strip(node);
  if (type == "Fuse") {
    fused_ = true;
    return;
  }
  if (fused_) type_node.unsupported("names " + in_quotes(type) + " after 'Fuse'");
  if (type == "ByteLevel") {
    is_byte_level_ = true;
    steps_.push_back(from_byte_alphabet);
  } else if (type == "ByteFallback") {
    steps_.push_back([](std::string text) {
      const int byte = parse_byte_text(text);
      return byte < 0 ? text : std::string(1, static_cast<char>(byte));
    });
  } else if (type == "Replace") {
    add_replace(node);
  } else if (type == "Metaspace") {
    add_metaspace(node);
  } else if (type == "WordPiece") {
    add_word_piece(node);
  } else if (type == "BPEDecoder") {
    // The library leaves the space after the last word out; a stream cannot know which that is.
    const std::string suffix = short_text(node, "suffix", "</w>");
    steps_.push_back(
        [suffix](std::string text) { return suffix.empty() ? text : replaced(text, suffix, " "); });
  } else {
    type_node.unsupported("names the decoder " + in_quotes(type) +
                          ", which this program does not know");
  }
}

void Decoder::add_sequence(const JsonNode& node, size_t depth) {
  if (depth > kMaxDepth) node.fail("is a sequence inside more than 8 others");
  for (const JsonNode& step : node.get("decoders").elements(kMaxSteps)) {
    add(step, depth);
    if (steps_.size() > kMaxSteps) node.exceeds("steps", steps_.size(), kMaxSteps);
  }
}

void Decoder::add_strip(const JsonNode& node) {
  const std::string content = short_text(node, "content", " ");
  const uint32_t start = node.find("start") ? node.get("start").as_u32(UINT32_MAX) : 0;
  const uint32_t stop = node.find("stop") ? node.get("stop").as_u32(UINT32_MAX) : 0;
  if (content.empty()) node.fail("strips an empty text");
  if (fused_) {
    if (content != " " || start != 1 || stop != 0)
      node.unsupported("strips more from a whole text than one space at its beginning");
    strips_leading_space_ = true;
    return;
  }
  steps_.push_back([content, start, stop](std::string text) {
    std::string_view rest = text;
    for (uint32_t i = 0; i < start && rest.starts_with(content); ++i)
      rest.remove_prefix(content.size());
    for (uint32_t i = 0; i < stop && rest.ends_with(content); ++i)
      rest.remove_suffix(content.size());
    return std::string(rest);
  });
}

void Decoder::add_replace(const JsonNode& node) {
  const std::shared_ptr<Pattern> pattern = read_pattern(node.get("pattern"));
  node.get("content");
  const std::string content = short_text(node, "content", "");
  steps_.push_back([pattern, content](std::string text) {
    std::vector<Stretch> stretches;
    pattern->matcher()->find_all(text, stretches);
    std::string out;
    size_t start = 0;
    for (const Stretch& stretch : stretches) {
      out += stretch.is_match ? content : text.substr(start, stretch.end - start);
      start = stretch.end;
    }
    return out;
  });
}

void Decoder::add_metaspace(const JsonNode& node) {
  const std::string replacement = short_text(node, "replacement", kSpaceMark);
  if (replacement.empty()) node.fail("replaces an empty text");
  const bool never = node.string_or("prepend_scheme", "always") == "never";
  strips_leading_space_ = !never && node.bool_or("add_prefix_space", true);
  steps_.push_back([replacement](std::string text) { return replaced(text, replacement, " "); });
}

void Decoder::add_word_piece(const JsonNode& node) {
  const std::string prefix = short_text(node, "prefix", "##");
  const bool cleans = node.bool_or("cleanup", true);
  strips_leading_space_ = true;
  steps_.push_back([prefix, cleans](std::string text) {
    if (!prefix.empty() && text.starts_with(prefix)) {
      text.erase(0, prefix.size());
    } else {
      text = std::string(1, ' ').append(text);
    }
    if (cleans) clean_up(text);
    return text;
  });
}

std::string Decoder::decode(std::string_view token) const {
  std::string text(token);
  for (const Step& step : steps_) text = step(std::move(text));
  return text;
}

}  // namespace omg::huggingface
