// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/assembled.h"

#include <algorithm>
#include <utility>

#include "base/error.h"
#include "formats/metadata.h"
#include "text/tokenizer/tokenizer_base.h"
#include "text/tokenizer/vocabulary.h"
#include "text/tokenizer/word_cache.h"

namespace omg::huggingface {
namespace {

void partition(const std::unique_ptr<AddedTokenMatcher>& matcher, std::string_view text,
               bool parse_special, std::vector<Fragment>& fragments) {
  if (matcher) return matcher->partition(text, parse_special, fragments);
  if (!text.empty()) fragments.push_back({0, text.size(), -1});
}

}  // namespace

AssembledTokenizer::AssembledTokenizer(Parts parts)
    : parts_(std::move(parts)), flags_(tokens().size()) {
  for (const AddedToken& token : parts_.added) {
    if (token.special) set(token.id, kControl);
    if (tokens().find_in_model(token.content) != token.id) set(token.id, kVerbatim);
  }
  find_end_tokens();
}

/// Which texts end an answer is known to Vocabulary: it is asked about the added tokens alone.
void AssembledTokenizer::find_end_tokens() {
  for (const TokenId id : parts_.end_ids) {
    if (tokens().contains(id)) set(id, kEnds);
  }
  if (parts_.special.eos) set(*parts_.special.eos, kEnds);
  if (parts_.added.empty()) return;
  std::vector<std::string> texts;
  std::vector<int32_t> types;
  for (const AddedToken& token : parts_.added) {
    texts.push_back(token.content);
    types.push_back(
        static_cast<int32_t>(token.special ? TokenType::kControl : TokenType::kUserDefined));
  }
  Metadata metadata;
  metadata.set_strings("tokenizer.ggml.tokens", texts);
  metadata.set_i32_array("tokenizer.ggml.token_type", types);
  const Vocabulary vocabulary(metadata, {});
  for (size_t i = 0; i < parts_.added.size(); ++i) {
    const TokenId id = parts_.added[i].id;
    const auto local = static_cast<TokenId>(i);
    if (vocabulary.ends_generation(local)) set(id, kEnds);
    auto& flags = flags_[static_cast<size_t>(id)];
    flags = static_cast<uint8_t>(flags & ~kControl);
    if (vocabulary.is_hidden(local)) set(id, kControl);
  }
  const auto global = [&](std::optional<TokenId> local) {
    return local ? std::optional(parts_.added[static_cast<size_t>(*local)].id) : std::nullopt;
  };
  parts_.special.eot = global(vocabulary.special().eot);
  parts_.special.eom = global(vocabulary.special().eom);
}

std::vector<TokenId> AssembledTokenizer::encode(std::string_view text,
                                                const EncodeOptions& options) const {
  std::vector<TokenId> output;
  output.reserve(text.size() / 4 + 4);
  const auto append = [&](const std::vector<TokenId>& ids) {
    if (options.add_special) output.insert(output.end(), ids.begin(), ids.end());
  };
  append(parts_.frame.before);
  Model::Scratch scratch;
  std::vector<Fragment> fragments;
  partition(parts_.raw, text, options.parse_special, fragments);
  for (const Fragment& fragment : fragments) {
    if (fragment.token >= 0) {
      output.push_back(fragment.token);
      continue;
    }
    std::string_view rest = text.substr(fragment.start, fragment.length);
    for (bool first = true; !rest.empty(); first = false) {
      const std::string_view block = rest.substr(0, kMaxBlock);
      encode_fragment(block, first && fragment.start == 0, options.parse_special, scratch, output);
      rest.remove_prefix(block.size());
    }
  }
  append(parts_.frame.after);
  return output;
}

void AssembledTokenizer::encode_fragment(std::string_view text, bool at_text_start,
                                         bool parse_special, Model::Scratch& scratch,
                                         std::vector<TokenId>& output) const {
  std::string normalized;
  if (parts_.normalizer) {
    normalized = parts_.normalizer->normalize(text);
    text = normalized;
  }
  if (!parts_.normalized) return encode_words(text, at_text_start, scratch, output);
  std::vector<Fragment> fragments;
  parts_.normalized->partition(text, parse_special, fragments);
  for (const Fragment& fragment : fragments) {
    if (fragment.token >= 0) {
      output.push_back(fragment.token);
    } else {
      encode_words(text.substr(fragment.start, fragment.length),
                   at_text_start && fragment.start == 0, scratch, output);
    }
  }
}

void AssembledTokenizer::encode_words(std::string_view text, bool at_text_start,
                                      Model::Scratch& scratch, std::vector<TokenId>& output) const {
  Words words(text, at_text_start);
  parts_.splitter.split(words);
  WordCache cache(words.ranges().size() * 8);
  for (const Words::Range& range : words.ranges()) {
    cache.append(words.text(), range.start, range.end - range.start, output,
                 [&] { parts_.model.model->encode(words.word(range), scratch, output); });
  }
}

void AssembledTokenizer::check(TokenId token) const {
  if (tokens().contains(token)) return;
  throw Error(ErrorCode::kInvalidArgument, "token " + std::to_string(token) +
                                               " does not exist: the vocabulary has " +
                                               std::to_string(tokens().size()) + " tokens");
}

std::string AssembledTokenizer::token_bytes(TokenId token, bool show_special) const {
  check(token);
  const std::string_view text = tokens().text(token);
  if (has(token, kControl)) return show_special ? std::string(text) : std::string();
  // Other kinds of decoder change added tokens too: there, runs of "▁" are added for spaces.
  if (has(token, kVerbatim) && parts_.decoder.is_byte_level()) return std::string(text);
  return text.empty() ? std::string() : parts_.decoder.decode(text);
}

std::string_view AssembledTokenizer::token_text(TokenId token) const {
  check(token);
  return tokens().text(token);
}

std::optional<TokenId> AssembledTokenizer::find_token(std::string_view text) const {
  const TokenId token = tokens().find(text);
  return token < 0 ? std::nullopt : std::optional<TokenId>(token);
}

}  // namespace omg::huggingface
