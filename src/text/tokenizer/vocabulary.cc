// SPDX-License-Identifier: Apache-2.0
//
// Model files mark few of their special tokens by key, and some mark them with the wrong type, so
// well-known texts are looked for as well; which, and what follows from them, is as in llama.cpp.
#include "text/tokenizer/vocabulary.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <cmath>

#include "base/error.h"
#include "formats/fill_in_tokens.h"

namespace omg {
namespace {

/// 16 M tokens are 60 times the largest vocabulary there is.
constexpr size_t kMaxTokens = 1u << 24;

constexpr std::array<std::string_view, 11> kEndOfTurn = {
    "<|eot_id|>",        "<|im_end|>", "<|end|>", "<end_of_turn>", "<|endoftext|>",
    "<|end_of_text|>",   "<EOT>",      "_<EOT>",  "[EOT]",         "<｜end▁of▁sentence｜>",
    "<end_of_utterance>"};

/// Texts that end an answer besides those of kEndOfTurn.
constexpr std::array<std::string_view, 11> kEndOfAnswer = {
    "<|return|>", "<|call|>", "<|flush|>", "<|calls|>",        "</s>", "<|eom_id|>",
    "[EOS]",      "<eos>",    "<turn|>",   "<|tool_response>", "[e~["};

[[noreturn]] void fail(std::string_view key, const std::string& why) {
  throw Error(ErrorCode::kCorrupt, "cannot read the vocabulary: key '" + std::string(key) + "' " +
                                       why + "; the model file is damaged or was made wrongly");
}

/// A token id under `key`; nothing when absent or negative (some files write -1 for "none").
/// `strict`: Error for an id outside the vocabulary; otherwise that counts as absent.
std::optional<TokenId> read_id(const Metadata& metadata, std::string_view key, size_t size,
                               bool strict) {
  const MetadataValue* value = key.empty() ? nullptr : metadata.find(key);
  if (value == nullptr) return std::nullopt;
  uint64_t id = 0;
  if (const auto* number = std::get_if<int64_t>(&value->data)) {
    if (*number < 0) return std::nullopt;
    id = static_cast<uint64_t>(*number);
  } else if (const auto* unsigned_number = std::get_if<uint64_t>(&value->data)) {
    id = *unsigned_number;
  } else {
    fail(key, "is not a number");
  }
  if (id < size) return static_cast<TokenId>(id);
  if (!strict || id == UINT32_MAX) return std::nullopt;
  fail(key,
       "is " + std::to_string(id) + ", but there are only " + std::to_string(size) + " tokens");
}

/// A text that no ordinary vocabulary holds as a word: "<|...|>" and the like.
bool is_unmistakable(std::string_view text) {
  return text.starts_with("<|") || text.starts_with("<｜") || text.starts_with("<end_of_") ||
         text.starts_with("<fim");
}

}  // namespace

int parse_byte_text(std::string_view text) {
  if (text.size() != 6 || !text.starts_with("<0x") || text[5] != '>') return -1;
  int value = 0;
  for (const char c : {text[3], text[4]}) {
    if (!std::isxdigit(static_cast<unsigned char>(c))) return -1;
    value = value * 16 + (c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  return value;
}

std::string byte_text(uint8_t byte) {
  static constexpr std::string_view kDigits = "0123456789ABCDEF";
  return {'<', '0', 'x', kDigits[byte >> 4], kDigits[byte & 15], '>'};
}

Vocabulary::Vocabulary(const Metadata& metadata, const VocabularyDefaults& defaults) {
  read_texts(metadata);
  read_types(metadata);
  read_scores(metadata);
  read_special(metadata, defaults);
  find_end_tokens(metadata);
  set_stripping(metadata);
}

void Vocabulary::read_texts(const Metadata& metadata) {
  static constexpr std::string_view kKey = "tokenizer.ggml.tokens";
  const std::vector<std::string_view>& texts = metadata.get_strings(kKey);
  if (texts.empty()) fail(kKey, "is empty");
  if (texts.size() > kMaxTokens) {
    throw Error(ErrorCode::kLimitExceeded, "cannot read the vocabulary: key '" + std::string(kKey) +
                                               "' has " + std::to_string(texts.size()) +
                                               " tokens, the limit is " +
                                               std::to_string(kMaxTokens));
  }
  uint64_t total = 0;
  for (const std::string_view text : texts) total += text.size() + 24;
  if (total > UINT32_MAX) fail(kKey, "has more than 4 GiB of text");

  tokens_.resize(texts.size());
  texts_.reserve(total);
  for (size_t i = 0; i < texts.size(); ++i) {
    tokens_[i].offset = static_cast<uint32_t>(texts_.size());
    if (texts[i].empty()) {
      texts_ += "[EMPTY_" + std::to_string(i) + "]";
    } else {
      texts_ += texts[i];
    }
    tokens_[i].length = static_cast<uint32_t>(texts_.size() - tokens_[i].offset);
    longest_ = std::max<size_t>(longest_, tokens_[i].length);
  }
  std::vector<StringMap::Entry> entries;
  entries.reserve(tokens_.size());
  for (size_t i = 0; i < tokens_.size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    entries.push_back({text(id), id});
  }
  index_.set_all(entries);
}

void Vocabulary::read_types(const Metadata& metadata) {
  static constexpr std::string_view kKey = "tokenizer.ggml.token_type";
  const auto types = metadata.find_i32_array(kKey);
  if (types && types->size() != size()) {
    fail(kKey, "has " + std::to_string(types->size()) + " entries for " + std::to_string(size()) +
                   " tokens");
  }
  for (size_t i = 0; i < size(); ++i) {
    const auto id = static_cast<TokenId>(i);
    if (types) {
      const int32_t type = (*types)[i];
      tokens_[i].type =
          type >= 1 && type <= 6 ? static_cast<TokenType>(type) : TokenType::kUndefined;
    } else if (parse_byte_text(text(id)) >= 0) {
      tokens_[i].type = TokenType::kByte;
    }
  }
}

void Vocabulary::read_scores(const Metadata& metadata) {
  static constexpr std::string_view kKey = "tokenizer.ggml.scores";
  auto scores = metadata.find_f32_array(kKey);
  if (!scores) return;
  if (scores->size() != size()) {
    fail(kKey, "has " + std::to_string(scores->size()) + " entries for " + std::to_string(size()) +
                   " tokens");
  }
  for (size_t i = 0; i < scores->size(); ++i) {
    if (std::isnan((*scores)[i])) fail(kKey, "holds NaN at " + std::to_string(i));
  }
  scores_ = std::move(*scores);
}

void Vocabulary::read_special(const Metadata& metadata, const VocabularyDefaults& defaults) {
  const auto read = [&](std::string_view key, bool strict, std::optional<TokenId> otherwise) {
    if (otherwise && static_cast<size_t>(*otherwise) >= size()) otherwise.reset();
    const auto id = read_id(metadata, key, size(), strict);
    return id ? id : otherwise;
  };
  special_.bos = read("tokenizer.ggml.bos_token_id", true, defaults.bos);
  special_.eos = read("tokenizer.ggml.eos_token_id", true, defaults.eos);
  special_.eot = read("tokenizer.ggml.eot_token_id", true, std::nullopt);
  special_.eom = read("tokenizer.ggml.eom_token_id", true, std::nullopt);
  // Files in the wild carry padding ids one past the end: harmless, as nothing here pads.
  special_.unknown = read("tokenizer.ggml.unknown_token_id", false, defaults.unknown);
  special_.padding = read("tokenizer.ggml.padding_token_id", false, defaults.padding);
  special_.separator = read("tokenizer.ggml.seperator_token_id", false, defaults.separator);
  const auto adds = [&](std::string_view key, bool otherwise) {
    return !defaults.never_adds && metadata.find_bool(key).value_or(otherwise);
  };
  const bool add_bos = adds("tokenizer.ggml.add_bos_token", defaults.add_bos);
  special_.add_bos = (add_bos || defaults.force_bos) && special_.bos.has_value();
  special_.add_eos = adds("tokenizer.ggml.add_eos_token", defaults.add_eos) &&
                     !defaults.add_separator && special_.eos.has_value();
  special_.add_separator = defaults.add_separator && special_.separator.has_value();
}

std::optional<TokenId> Vocabulary::claim_control(std::string_view wanted) {
  const TokenId id = wanted.empty() ? -1 : find(wanted);
  if (id < 0) return std::nullopt;
  const TokenType type = token(id).type;
  // "</s>" or "<EOT>" may be an ordinary word of a vocabulary made from web pages.
  if (type != TokenType::kControl && type != TokenType::kUserDefined && !is_unmistakable(wanted))
    return std::nullopt;
  token(id).type = TokenType::kControl;
  return id;
}

void Vocabulary::find_end_tokens(const Metadata& metadata) {
  for (const std::string_view wanted : kEndOfTurn) {
    const auto id = claim_control(wanted);
    if (!id) continue;
    token(*id).ends = true;
    if (!special_.eot) special_.eot = id;
  }
  for (const std::string_view wanted : kEndOfAnswer) {
    const auto id = claim_control(wanted);
    if (!id) continue;
    token(*id).ends = true;
    if (!special_.eom && wanted == "<|eom_id|>") special_.eom = id;
  }
  // Those for filling in are control tokens, though files often call them user-defined.
  const auto claim_fill_in = [&](const FillInName& name) {
    auto id = read_id(metadata, name.key, size(), false);
    if (!id) id = read_id(metadata, name.older_key, size(), false);
    for (size_t i = 0; !id && i < name.texts.size(); ++i) id = claim_control(name.texts[i]);
    return id;
  };
  for (const FillInName& name : {kFillInPrefix, kFillInSuffix, kFillInMiddle}) claim_fill_in(name);
  for (const FillInName& name : kFillInEnds) {
    if (const auto id = claim_fill_in(name)) token(*id).ends = true;
  }
  // The channel markers of gpt-oss structure an answer: always read and always shown.
  for (const std::string_view wanted :
       {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}) {
    if (const TokenId id = find(wanted); id >= 0) token(id).type = TokenType::kUserDefined;
  }
  for (const auto& id : {special_.eos, special_.eot, special_.eom}) {
    if (id) token(*id).ends = true;
  }
  const auto ends = [&](std::string_view wanted) {
    const TokenId id = find(wanted);
    return id >= 0 && token(id).ends;
  };
  // Where an answer ends with "<|return|>", "<|end|>" only ends one of its parts.
  const bool calls = ends("<|call|>") || ends("<|calls|>");
  if (ends("<|end|>") && calls && (ends("<|return|>") || ends("<|flush|>"))) {
    token(find("<|end|>")).ends = false;
    token(find("<|end|>")).type = TokenType::kUserDefined;
  }
  // Gemma 4 keeps "</s>" as an HTML tag.
  if (ends("<|tool_response>") && ends("</s>")) {
    token(find("</s>")).ends = false;
    token(find("</s>")).type = TokenType::kNormal;
  }
}

void Vocabulary::set_stripping(const Metadata& metadata) {
  // Files have no key for this, so it hangs on names; the rules are llama.cpp's.
  const std::string_view pre = metadata.find_string("tokenizer.ggml.pre").value_or("");
  std::string name(metadata.find_string("general.name").value_or(""));
  std::transform(name.begin(), name.end(), name.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  const auto contains = [](std::string_view where, std::string_view what) {
    return where.find(what) != std::string_view::npos;
  };
  const std::string_view family = metadata.find_string("general.architecture").value_or("");
  if (contains(pre, "jina-v2-de") || contains(pre, "jina-v2-es") || contains(pre, "jina-v2-code") ||
      contains(family, "nomic-bert-moe") || contains(family, "jina-bert-v3")) {
    if (const TokenId id = find("<mask>"); id >= 0) token(id).strips_left = true;
  } else if (contains(name, "phi-3") || contains(name, "phi3")) {
    for (size_t i = 0; i < size(); ++i) {
      const auto id = static_cast<TokenId>(i);
      const std::string_view wanted = text(id);
      const bool special = is_hidden(id) || type(id) == TokenType::kUserDefined;
      const bool keeps = wanted == "<unk>" || wanted == "<s>" || wanted == "<|endoftext|>";
      tokens_[i].strips_right = (special || wanted == "</s>") && !keeps;
    }
  } else if (contains(name, "modern-bert")) {
    if (const TokenId id = find("[MASK]"); id >= 0) token(id).strips_left = true;
  }
}

int Vocabulary::byte_of(TokenId id) const {
  return type(id) == TokenType::kByte ? parse_byte_text(text(id)) : -1;
}

}  // namespace omg
