// SPDX-License-Identifier: Apache-2.0
//
// The two kinds of vocabulary, and the special tokens and templates of the families.
#include "tools/make_model/vocabulary.h"

#include <array>
#include <cassert>
#include <optional>

#include "base/utf8.h"
#include "tools/make_model/pieces.h"

namespace omg::model_maker {
namespace {

/// Numbers of "tokenizer.ggml.token_type".
enum TokenType : int32_t { kNormal = 1, kUnknown = 2, kControl = 3, kUnused = 5, kByte = 6 };

/// What a family adds to either kind of vocabulary.
struct Dialect {
  std::string_view pre;                    // byte-level only
  std::vector<std::string_view> first;     // SentencePiece: control tokens before the bytes
  std::vector<std::string_view> specials;  // control tokens after the pieces
  std::string_view bos, eos, unknown, padding, end_of_turn;  // empty: none
  bool adds_bos = true;
  bool adds_space_prefix = true;
  uint32_t reserved = 0;  // at least so many specials in a vocabulary of full size
  std::string_view reserved_prefix;
  std::string_view chat_template;
};

constexpr std::string_view kLlama3Template =
    "{{ bos_token }}{% for message in messages %}"
    "<|start_header_id|>{{ message['role'] }}<|end_header_id|>\n\n"
    "{{ message['content'] | trim }}<|eot_id|>{% endfor %}"
    "{% if add_generation_prompt %}<|start_header_id|>assistant<|end_header_id|>\n\n{% endif %}";

constexpr std::string_view kLlama2Template =
    "{{ bos_token }}{% set ns = namespace(system='') %}{% for message in messages %}"
    "{% if message['role'] == 'system' %}{% set ns.system = message['content'] + '\\n\\n' %}"
    "{% elif message['role'] == 'user' %}[INST] {{ ns.system + message['content'] | trim }} "
    "[/INST]{% set ns.system = '' %}"
    "{% else %} {{ message['content'] | trim }}{{ eos_token }}{% endif %}{% endfor %}";

constexpr std::string_view kChatMlTemplate =
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}";

constexpr std::string_view kGemmaTemplate =
    "{{ bos_token }}{% for message in messages %}<start_of_turn>"
    "{{ 'model' if message['role'] == 'assistant' else 'user' }}\n"
    "{{ message['content'] | trim }}<end_of_turn>\n{% endfor %}"
    "{% if add_generation_prompt %}<start_of_turn>model\n{% endif %}";

constexpr std::string_view kPhi3Template =
    "{% for message in messages %}<|{{ message['role'] }}|>\n{{ message['content'] }}<|end|>\n"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>\n{% else %}{{ eos_token }}{% endif %}";

constexpr std::string_view kPhi2Template =
    "{% for message in messages %}{{ 'Output' if message['role'] == 'assistant' else 'Instruct' }}"
    ": {{ message['content'] | trim }}\n{% endfor %}"
    "{% if add_generation_prompt %}Output:{% endif %}";

Dialect llama3_dialect() {
  Dialect dialect;
  dialect.pre = "llama-bpe";
  dialect.specials = {"<|begin_of_text|>",
                      "<|end_of_text|>",
                      "<|reserved_special_token_0|>",
                      "<|reserved_special_token_1|>",
                      "<|finetune_right_pad_id|>",
                      "<|reserved_special_token_2|>",
                      "<|start_header_id|>",
                      "<|end_header_id|>",
                      "<|eom_id|>",
                      "<|eot_id|>",
                      "<|python_tag|>"};
  dialect.bos = "<|begin_of_text|>";
  dialect.eos = dialect.end_of_turn = "<|eot_id|>";
  dialect.reserved = 256;  // as in the published vocabulary: 128,000 pieces and 256 specials
  dialect.reserved_prefix = "<|reserved_special_token_";
  dialect.chat_template = kLlama3Template;
  return dialect;
}

Dialect chat_ml_dialect() {
  Dialect dialect;
  dialect.pre = "qwen2";
  dialect.first = {"<unk>"};
  dialect.specials = {"<|endoftext|>", "<|im_start|>", "<|im_end|>"};
  dialect.bos = dialect.padding = "<|endoftext|>";
  dialect.eos = dialect.end_of_turn = "<|im_end|>";
  dialect.adds_bos = false;
  dialect.reserved = 293;  // 151,643 pieces of 151,936
  dialect.reserved_prefix = "<|reserved_";
  dialect.chat_template = kChatMlTemplate;
  return dialect;
}

Dialect gpt2_dialect() {
  Dialect dialect;
  dialect.pre = "gpt-2";
  dialect.first = {"<unk>"};
  dialect.specials = {"<|endoftext|>"};
  dialect.bos = dialect.eos = "<|endoftext|>";
  dialect.adds_bos = false;
  dialect.chat_template = kPhi2Template;
  return dialect;
}

Dialect llama2_dialect() {
  Dialect dialect;
  dialect.first = {"<unk>", "<s>", "</s>"};
  dialect.bos = "<s>";
  dialect.eos = "</s>";
  dialect.chat_template = kLlama2Template;
  return dialect;
}

Dialect gemma_dialect() {
  Dialect dialect;
  dialect.pre = "qwen2";
  dialect.first = {"<pad>", "<eos>", "<bos>", "<unk>"};
  dialect.specials = {"<start_of_turn>", "<end_of_turn>"};
  dialect.bos = "<bos>";
  dialect.eos = "<eos>";
  dialect.padding = "<pad>";
  dialect.end_of_turn = "<end_of_turn>";
  dialect.adds_space_prefix = false;
  dialect.chat_template = kGemmaTemplate;
  return dialect;
}

Dialect phi3_dialect() {
  Dialect dialect;
  dialect.pre = "gpt-2";
  dialect.first = {"<unk>", "<s>", "</s>"};
  dialect.specials = {"<|endoftext|>", "<|assistant|>", "<|system|>", "<|end|>", "<|user|>"};
  dialect.bos = "<s>";
  dialect.eos = dialect.padding = "<|endoftext|>";
  dialect.end_of_turn = "<|end|>";
  dialect.adds_bos = false;
  dialect.chat_template = kPhi3Template;
  return dialect;
}

Dialect dialect_of(const Options& options) {
  const bool is_byte_level = options.tokenizer == TokenizerKind::kByteLevel;
  Dialect dialect;
  switch (options.family) {
    case Family::kLlama:
    case Family::kMixtral:
      dialect = is_byte_level ? llama3_dialect() : llama2_dialect();
      break;
    case Family::kQwen2:
    case Family::kQwen3:
    case Family::kQwen3Moe:
      dialect = chat_ml_dialect();
      break;
    case Family::kGemma2:
    case Family::kGemma3:
      dialect = gemma_dialect();
      break;
    case Family::kPhi2:
      dialect = gpt2_dialect();
      break;
    case Family::kPhi3:
      dialect = phi3_dialect();
      break;
  }
  if (is_byte_level) {  // all specials stand at the end
    std::vector<std::string_view> specials;
    for (const auto token : dialect.first) {
      if (token != "<unk>") specials.push_back(token);
    }
    specials.insert(specials.end(), dialect.specials.begin(), dialect.specials.end());
    dialect.first.clear();
    dialect.specials = std::move(specials);
  } else if (!dialect.first.empty()) {
    dialect.unknown = "<unk>";
  }
  return dialect;
}

struct Vocabulary {
  std::vector<std::string> tokens;
  std::vector<float> scores;
  std::vector<int32_t> types;
  std::vector<std::string> merges;

  void add(std::string token, TokenType type, float score = 0) {
    tokens.push_back(std::move(token));
    types.push_back(type);
    scores.push_back(score);
  }
  std::optional<uint32_t> find(std::string_view token) const {
    for (size_t i = 0; i < tokens.size(); ++i) {
      if (tokens[i] == token) return static_cast<uint32_t>(i);
    }
    return std::nullopt;
  }
};

/// GPT-2's characters for the 256 bytes: printable ones stand for themselves, the others are moved
/// up behind U+0100, in the order of the published vocabularies.
std::vector<std::string> byte_characters() {
  std::vector<std::string> characters;
  const auto is_printable = [](uint32_t byte) {
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte != 0xad);
  };
  const auto add = [&](uint32_t code_point) { append_utf8(characters.emplace_back(), code_point); };
  for (uint32_t byte = 0; byte < 256; ++byte) {
    if (is_printable(byte)) add(byte);
  }
  for (uint32_t moved = 0; characters.size() < 256; ++moved) add(0x100 + moved);
  return characters;
}

/// Control tokens up to the vocabulary's size.
void add_specials(Vocabulary& vocabulary, const Dialect& dialect, size_t size) {
  for (const auto token : dialect.specials) vocabulary.add(std::string(token), kControl);
  const std::string prefix =
      dialect.reserved_prefix.empty() ? "<|unused_" : std::string(dialect.reserved_prefix);
  // Some families name the first few of these among their specials.
  for (uint32_t number = 3; vocabulary.tokens.size() < size; ++number) {
    vocabulary.add(prefix + std::to_string(number) + "|>", dialect.reserved ? kControl : kUnused);
  }
  assert(vocabulary.tokens.size() == size);
}

/// Tokens at the end that are no pieces; small vocabularies do without reserved ones.
size_t special_count(const Dialect& dialect, size_t size) {
  return size >= 100000 ? std::max<size_t>(dialect.reserved, dialect.specials.size())
                        : dialect.specials.size();
}

Vocabulary byte_level_vocabulary(const Dialect& dialect, size_t size) {
  Vocabulary vocabulary;
  for (auto& character : byte_characters()) vocabulary.add(std::move(character), kNormal);
  const size_t pieces = size - vocabulary.tokens.size() - special_count(dialect, size);
  for (const auto& [left, right] : make_pieces("\u0120", "\u010a", pieces)) {
    vocabulary.add(left + right, kNormal);
    vocabulary.merges.push_back(left + " " + right);
  }
  add_specials(vocabulary, dialect, size);
  return vocabulary;
}

Vocabulary sentence_piece_vocabulary(const Dialect& dialect, size_t size) {
  Vocabulary vocabulary;
  for (const auto token : dialect.first) {
    vocabulary.add(std::string(token), token == "<unk>" ? kUnknown : kControl);
  }
  constexpr std::string_view kHex = "0123456789ABCDEF";
  for (uint32_t byte = 0; byte < 256; ++byte) {
    vocabulary.add(std::string("<0x") + kHex[byte >> 4] + kHex[byte & 15] + ">", kByte);
  }
  constexpr char kFirstCharacter = '!', kLastCharacter = '~';
  const size_t characters = 1 + kLastCharacter - kFirstCharacter + 1;  // and the space
  const size_t pieces = size - vocabulary.tokens.size() - characters - special_count(dialect, size);
  float score = 0;
  for (const auto& [left, right] : make_pieces("\u2581", "", pieces)) {
    vocabulary.add(left + right, kNormal, score--);
  }
  vocabulary.add("\u2581", kNormal, score--);
  for (char c = kFirstCharacter; c <= kLastCharacter; ++c) {
    vocabulary.add(std::string(1, c), kNormal, score--);
  }
  add_specials(vocabulary, dialect, size);
  return vocabulary;
}

}  // namespace

void add_vocabulary(const Options& options, Metadata& metadata) {
  const Dialect dialect = dialect_of(options);
  const bool is_byte_level = options.tokenizer == TokenizerKind::kByteLevel;
  const Vocabulary vocabulary = is_byte_level
                                    ? byte_level_vocabulary(dialect, options.vocabulary)
                                    : sentence_piece_vocabulary(dialect, options.vocabulary);
  metadata.set_string("tokenizer.ggml.model", is_byte_level ? "gpt2" : "llama");
  metadata.set_string("tokenizer.ggml.pre", is_byte_level ? dialect.pre : "default");
  metadata.set_strings("tokenizer.ggml.tokens", vocabulary.tokens);
  if (is_byte_level) {
    metadata.set_strings("tokenizer.ggml.merges", vocabulary.merges);
  } else {
    metadata.set_f32_array("tokenizer.ggml.scores", vocabulary.scores);
    metadata.set_bool("tokenizer.ggml.add_space_prefix", dialect.adds_space_prefix);
  }
  metadata.set_i32_array("tokenizer.ggml.token_type", vocabulary.types);
  const auto set_id = [&](const char* key, std::string_view token) {
    if (token.empty()) return;
    const auto id = vocabulary.find(token);
    assert(id);
    metadata.set_u32(key, *id);
  };
  set_id("tokenizer.ggml.bos_token_id", dialect.bos);
  set_id("tokenizer.ggml.eos_token_id", dialect.eos);
  set_id("tokenizer.ggml.eot_token_id", dialect.end_of_turn);
  set_id("tokenizer.ggml.unknown_token_id", dialect.unknown);
  set_id("tokenizer.ggml.padding_token_id", dialect.padding);
  metadata.set_bool("tokenizer.ggml.add_bos_token", dialect.adds_bos);
  metadata.set_bool("tokenizer.ggml.add_eos_token", false);
  const std::string_view chat_template =
      options.chat_template ? std::string_view(*options.chat_template) : dialect.chat_template;
  if (!chat_template.empty()) metadata.set_string("tokenizer.chat_template", chat_template);
}

}  // namespace omg::model_maker
