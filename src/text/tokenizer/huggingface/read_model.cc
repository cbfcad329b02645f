// SPDX-License-Identifier: Apache-2.0
//
// From `$.model` of a tokenizer.json to a model.
#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "text/tokenizer/huggingface/model.h"
#include "text/tokenizer/vocabulary.h"

namespace omg::huggingface {
namespace {

constexpr size_t kMaxMerges = 1u << 24;
constexpr size_t kMaxAffix = 64;
// The longest of published tokens have a few hundred; longer ones would make finding them slow.
constexpr size_t kMaxTokenBytes = 1024;

std::string member_path(std::string_view key) {
  return "holds the token " + in_quotes(key);
}

/// {"token": id, ...}
std::unique_ptr<TokenTable> read_vocabulary(const JsonNode& node) {
  std::vector<TokenTable::Entry> entries;
  const json::object& object = node.as_object();
  if (object.size() > kMaxTokens) node.exceeds("tokens", object.size(), kMaxTokens);
  entries.reserve(object.size());
  for (const auto& member : object) {
    const json::value& value = member.value();
    const bool is_id = value.is_int64() && value.get_int64() >= 0 &&
                       value.get_int64() < static_cast<int64_t>(kMaxTokens);
    if (!is_id) node.fail(member_path(member.key()) + " with no id from 0 to 2^24");
    if (member.key().size() > kMaxTokenBytes)
      node.exceeds("bytes in a token", member.key().size(), kMaxTokenBytes);
    entries.push_back({member.key(), static_cast<uint32_t>(value.get_int64())});
  }
  return std::make_unique<TokenTable>(entries, node);
}

/// The token that `node`'s member `key` names; -1 where there is none. A name that is no token is
/// an error if `must_exist`.
TokenId read_token(const JsonNode& node, std::string_view key, const TokenTable& tokens,
                   bool must_exist) {
  const auto member = node.find(key);
  if (!member) return -1;
  const TokenId id = tokens.find_in_model(member->as_string());
  if (id < 0 && must_exist)
    member->fail("names " + in_quotes(member->as_string()) + ", which is no token");
  return id;
}

std::string read_affix(const JsonNode& node, std::string_view key) {
  const std::string text = node.string_or(key, "");
  if (text.size() > kMaxAffix) node.get(key).exceeds("bytes", text.size(), kMaxAffix);
  return text;
}

/// Reads the rules of a BPE model, in batches so that the cache misses of their look-ups overlap.
class RuleReader {
 public:
  RuleReader(const JsonNode& node, const TokenTable& tokens, size_t prefix_size)
      : node_(node), tokens_(tokens), prefix_size_(prefix_size) {}

  std::vector<MergeRule> read() {
    const json::array& array = node_.as_array();
    if (array.size() > kMaxMerges) node_.exceeds("merges", array.size(), kMaxMerges);
    rules_.reserve(array.size());
    for (size_t first = 0; first < array.size(); first += kBatch) {
      const size_t count = std::min(kBatch, array.size() - first);
      size_t used = 0;
      for (size_t i = 0; i < count; ++i) {
        if (first + i == 0 && is_version(array[0])) continue;
        prepare(array[first + i], first + i, batch_[used++]);
      }
      finish(std::span(batch_.data(), used));
    }
    return std::move(rules_);
  }

 private:
  static constexpr size_t kBatch = 32;
  struct Part {
    std::string_view text;
    uint64_t hash = 0;
  };
  struct Entry {
    size_t number = 0;
    std::array<Part, 3> parts;  // left, right, and what they become
    std::string joined;
  };

  static bool is_version(const json::value& value) {
    return value.is_string() && std::string_view(value.get_string()).starts_with("#version");
  }

  [[noreturn]] void fail(size_t number, const std::string& why) const {
    node_.fail("has at [" + std::to_string(number) + "] " + why);
  }

  void prepare(const json::value& value, size_t number, Entry& entry) const {
    std::string_view left, right;
    if (value.is_string()) {
      const std::string_view line = value.get_string();
      const size_t space = line.find(' ');
      if (space == std::string_view::npos || line.find(' ', space + 1) != std::string_view::npos)
        fail(number, "not two parts with a space between them: " + in_quotes(line));
      left = line.substr(0, space);
      right = line.substr(space + 1);
    } else if (value.is_array() && value.get_array().size() == 2 &&
               value.get_array()[0].is_string() && value.get_array()[1].is_string()) {
      left = value.get_array()[0].get_string();
      right = value.get_array()[1].get_string();
    } else {
      fail(number, "neither a string nor a pair of strings");
    }
    if (right.size() < prefix_size_)
      fail(number, in_quotes(right) + ", which is shorter than the prefix of later symbols");
    entry.number = number;
    entry.joined.assign(left).append(right.substr(prefix_size_));
    entry.parts = {{{left}, {right}, {entry.joined}}};
    for (Part& part : entry.parts) {
      part.hash = hash_bytes(part.text);
      tokens_.model_index().prefetch_slot(part.hash);
    }
  }

  void finish(std::span<const Entry> batch) {
    for (const Entry& entry : batch) {
      for (const Part& part : entry.parts) tokens_.model_index().prefetch_key(part.hash);
    }
    for (const Entry& entry : batch) {
      std::array<TokenId, 3> ids;
      for (size_t i = 0; i < ids.size(); ++i) {
        ids[i] = tokens_.model_index().find(entry.parts[i].text, entry.parts[i].hash);
        if (ids[i] < 0)
          fail(entry.number, "the text " + in_quotes(entry.parts[i].text) + ", which is no token");
      }
      rules_.push_back({ids[0], ids[1], ids[2]});
    }
  }

  const JsonNode& node_;
  const TokenTable& tokens_;
  const size_t prefix_size_;
  std::array<Entry, kBatch> batch_;
  std::vector<MergeRule> rules_;
};

ModelParts read_bpe(const JsonNode& node, bool byte_level) {
  ModelParts parts;
  parts.tokens = read_vocabulary(node.get("vocab"));
  BpeOptions options;
  // Files name unknown tokens that they do not have; the library minds only when it needs one.
  options.unknown = parts.unknown = read_token(node, "unk_token", *parts.tokens, false);
  options.fuse_unknown = node.bool_or("fuse_unk", false);
  options.byte_fallback = node.bool_or("byte_fallback", false);
  options.ignore_merges = node.bool_or("ignore_merges", false);
  options.byte_level = byte_level;
  options.prefix = read_affix(node, "continuing_subword_prefix");
  options.suffix = read_affix(node, "end_of_word_suffix");
  const JsonNode merges = node.get("merges");
  const auto rules = RuleReader(merges, *parts.tokens, options.prefix.size()).read();
  parts.model = make_bpe(*parts.tokens, rules, std::move(options));
  return parts;
}

ModelParts read_word_piece(const JsonNode& node) {
  ModelParts parts;
  parts.tokens = read_vocabulary(node.get("vocab"));
  WordPieceOptions options;
  options.unknown = parts.unknown = read_token(node, "unk_token", *parts.tokens, true);
  options.continuation_prefix =
      node.find("continuing_subword_prefix") ? read_affix(node, "continuing_subword_prefix") : "##";
  options.max_characters = 100;
  if (const auto most = node.find("max_input_chars_per_word")) {
    options.max_characters = most->as_u32(UINT32_MAX);
    if (options.max_characters == 0) most->fail("is 0: every word would be unknown");
  }
  parts.model = make_word_piece(*parts.tokens, std::move(options));
  return parts;
}

ModelParts read_word_level(const JsonNode& node) {
  ModelParts parts;
  parts.tokens = read_vocabulary(node.get("vocab"));
  parts.unknown = read_token(node, "unk_token", *parts.tokens, true);
  parts.model = make_word_level(*parts.tokens, parts.unknown);
  return parts;
}

/// "<0x00>" to "<0xFF>"; empty if one of them is missing.
std::vector<TokenId> find_byte_tokens(const TokenTable& tokens) {
  std::vector<TokenId> ids;
  for (size_t byte = 0; byte < 256; ++byte) {
    const TokenId id = tokens.find_in_model(byte_text(static_cast<uint8_t>(byte)));
    if (id < 0) return {};
    ids.push_back(id);
  }
  return ids;
}

/// The vocabulary is a list of [text, score]; ids are places in it.
ModelParts read_unigram(const JsonNode& node) {
  ModelParts parts;
  const JsonNode vocabulary = node.get("vocab");
  const json::array& array = vocabulary.as_array();
  if (array.size() > kMaxTokens) vocabulary.exceeds("tokens", array.size(), kMaxTokens);
  std::vector<TokenTable::Entry> entries;
  UnigramOptions options;
  entries.reserve(array.size());
  std::vector<double> scores;
  scores.reserve(array.size());
  for (size_t i = 0; i < array.size(); ++i) {
    const json::value& row = array[i];
    const bool is_pair = row.is_array() && row.get_array().size() == 2 &&
                         row.get_array()[0].is_string() && row.get_array()[1].is_number();
    if (!is_pair) vocabulary.fail("has at [" + std::to_string(i) + "] no pair of text and score");
    const std::string_view text = row.get_array()[0].get_string();
    if (text.size() > kMaxTokenBytes)
      vocabulary.exceeds("bytes in a token", text.size(), kMaxTokenBytes);
    entries.push_back({text, static_cast<uint32_t>(i)});
    scores.push_back(row.get_array()[1].to_number<double>());
  }
  parts.tokens = std::make_unique<TokenTable>(entries, vocabulary);
  if (const auto unknown = node.find("unk_id")) {
    const uint32_t id = unknown->as_u32(static_cast<uint32_t>(kMaxTokens));
    if (id >= array.size()) unknown->fail("is " + std::to_string(id) + ", which no token has");
    options.unknown = parts.unknown = static_cast<TokenId>(id);
  }
  constexpr double kUnknownPenalty = 10;
  if (!scores.empty())
    options.unknown_score = *std::min_element(scores.begin(), scores.end()) - kUnknownPenalty;
  if (node.bool_or("byte_fallback", false)) options.byte_tokens = find_byte_tokens(*parts.tokens);
  parts.model = make_unigram(*parts.tokens, scores, std::move(options));
  return parts;
}

/// Files from before models had types tell them by their members.
std::string type_of(const JsonNode& node) {
  if (const auto type = node.find("type")) return std::string(type->as_string());
  if (node.find("merges")) return "BPE";
  if (node.get("vocab").value().is_array()) return "Unigram";
  return node.find("max_input_chars_per_word") ? "WordPiece" : "WordLevel";
}

}  // namespace

ModelParts read_model(const JsonNode& node, bool byte_level) {
  const std::string type = type_of(node);
  ModelParts parts;
  if (type == "BPE") return read_bpe(node, byte_level);
  if (type == "WordPiece") {
    parts = read_word_piece(node);
  } else if (type == "WordLevel") {
    parts = read_word_level(node);
  } else if (type == "Unigram") {
    parts = read_unigram(node);
  } else {
    node.get("type").unsupported("names the model " + in_quotes(type) +
                                 ", which this program does not know");
  }
  if (byte_level) parts.model = write_in_byte_alphabet(std::move(parts.model));
  return parts;
}

}  // namespace omg::huggingface
