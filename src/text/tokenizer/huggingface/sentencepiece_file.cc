// SPDX-License-Identifier: Apache-2.0
//
// The reader checks every length against what is left of its message. The tokenizer is the one that
// a model file with the same vocabulary gets: the pieces become metadata under GGUF's keys, whose
// token types are SentencePiece's own.
#include "text/tokenizer/huggingface/sentencepiece_file.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <unordered_map>

#include "base/error.h"
#include "base/utf8.h"
#include "formats/metadata.h"
#include "text/tokenizer/huggingface/token_table.h"
#include "text/tokenizer/vocabulary.h"

namespace omg::huggingface {
namespace {

constexpr size_t kMaxFile = 64u << 20;  // the largest published one has 8 MiB
constexpr size_t kMaxPieceBytes = 1024;

[[noreturn]] void fail(const std::string& what, const std::string& why) {
  throw Error(ErrorCode::kCorrupt, "cannot read the tokenizer: " + what + " " + why +
                                       "; the file is damaged or was made wrongly");
}

/// Reads the fields of one message.
class Message {
 public:
  enum class Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

  Message(std::string_view bytes, std::string what) : rest_(bytes), what_(std::move(what)) {}

  /// Moves to the next field; false at the end. Fields of any number are read over unless they are
  /// asked for.
  bool next() {
    if (rest_.empty()) return false;
    const uint64_t key = varint();
    number_ = static_cast<uint32_t>(std::min<uint64_t>(key >> 3, UINT32_MAX));
    wire_ = static_cast<Wire>(key & 7);
    if (number_ == 0) fail(what_, "has a field with the number 0");
    switch (wire_) {
      case Wire::kVarint:
        value_ = varint();
        break;
      case Wire::kFixed64:
        bytes_ = take(8);
        break;
      case Wire::kBytes:
        bytes_ = take(varint());
        break;
      case Wire::kFixed32:
        bytes_ = take(4);
        break;
      default:
        fail(what_, "has a field of the wire type " + std::to_string(key & 7));
    }
    return true;
  }

  uint32_t number() const { return number_; }
  std::string_view bytes() const {
    expect(Wire::kBytes);
    return bytes_;
  }
  uint64_t integer() const {
    expect(Wire::kVarint);
    return value_;
  }
  int32_t int32() const { return static_cast<int32_t>(static_cast<uint32_t>(integer())); }
  bool boolean() const { return integer() != 0; }
  float real() const {
    expect(Wire::kFixed32);
    uint32_t bits = 0;
    for (size_t i = 4; i-- > 0;) bits = bits << 8 | static_cast<uint8_t>(bytes_[i]);
    return std::bit_cast<float>(bits);
  }

 private:
  void expect(Wire wire) const {
    if (wire_ != wire)
      fail(what_, "has field " + std::to_string(number_) + " with the wrong wire type");
  }

  uint64_t varint() {
    uint64_t value = 0;
    for (size_t i = 0; i < 10; ++i) {
      if (rest_.empty()) fail(what_, "ends within a number");
      const auto byte = static_cast<uint8_t>(rest_[0]);
      rest_.remove_prefix(1);
      value |= uint64_t{byte & 0x7Fu} << (7 * i);
      if ((byte & 0x80) == 0) return value;
    }
    fail(what_, "has a number of more than 10 bytes");
  }

  std::string_view take(uint64_t size) {
    if (size > rest_.size()) {
      fail(what_, "has a field of " + std::to_string(size) + " bytes where " +
                      std::to_string(rest_.size()) + " are left");
    }
    const std::string_view taken = rest_.substr(0, static_cast<size_t>(size));
    rest_.remove_prefix(taken.size());
    return taken;
  }

  std::string_view rest_;
  const std::string what_;
  uint32_t number_ = 0;
  Wire wire_ = Wire::kVarint;
  uint64_t value_ = 0;
  std::string_view bytes_;
};

SentencePieceModel::Piece parse_piece(std::string_view bytes, const std::string& what) {
  SentencePieceModel::Piece piece;
  Message message(bytes, what);
  while (message.next()) {
    if (message.number() == 1) piece.text = message.bytes();
    if (message.number() == 2) piece.score = message.real();
    if (message.number() == 3)
      piece.type = static_cast<uint32_t>(std::min<uint64_t>(message.integer(), UINT32_MAX));
  }
  if (piece.text.empty()) fail(what, "is empty");
  if (piece.text.size() > kMaxPieceBytes) fail(what, "has more than 1024 bytes");
  if (!is_valid_utf8(piece.text)) fail(what, "is not UTF-8");
  if (!std::isfinite(piece.score)) fail(what, "has a score that is no number");
  if (piece.type < 1 || piece.type > 6)
    fail(what, "has the type " + std::to_string(piece.type) + ", which is not known");
  return piece;
}

void parse_trainer(std::string_view bytes, const std::string& what, SentencePieceModel& model) {
  Message message(bytes, what);
  while (message.next()) {
    switch (message.number()) {
      case 3: {
        const uint64_t kind = message.integer();
        if (kind < 1 || kind > 4) fail(what, "has the model type " + std::to_string(kind));
        model.kind = static_cast<SentencePieceModel::Kind>(kind);
        break;
      }
      case 24:
        model.space_is_suffix = message.boolean();
        break;
      case 35:
        model.byte_fallback = message.boolean();
        break;
      case 40:
        model.unknown = message.int32();
        break;
      case 41:
        model.bos = message.int32();
        break;
      case 42:
        model.eos = message.int32();
        break;
      case 43:
        model.padding = message.int32();
        break;
      default:
        break;
    }
  }
}

void parse_normalizer(std::string_view bytes, const std::string& what, SentencePieceModel& model) {
  Message message(bytes, what);
  while (message.next()) {
    if (message.number() == 2) model.charsmap = message.bytes();
    if (message.number() == 3) model.add_dummy_prefix = message.boolean();
    if (message.number() == 4) model.remove_extra_whitespaces = message.boolean();
    if (message.number() == 5) model.escape_whitespaces = message.boolean();
  }
}

/// Pieces with the tokens that the files beside them add, as metadata of a model file.
class Conversion {
 public:
  Conversion(const SentencePieceModel& model, const Settings& settings, std::string what)
      : model_(model), settings_(settings), what_(std::move(what)) {}

  Metadata run() {
    check_supported();
    for (const auto& piece : model_.pieces) {
      ids_.emplace(piece.text, static_cast<int32_t>(texts_.size()));
      texts_.emplace_back(piece.text);
      scores_.push_back(piece.score);
      types_.push_back(static_cast<int32_t>(piece.type));
    }
    for (const AddedToken& token : settings_.added) add(token);
    for (const std::string& text : settings_.special) make_control(text);
    for (const auto& text : {settings_.bos, settings_.eos, settings_.padding}) {
      if (text) make_control(*text);
    }
    fill_gaps();
    return write();
  }

 private:
  void check_supported() const {
    const auto unsupported = [this](const std::string& why) {
      throw Error(ErrorCode::kUnsupported, "cannot tokenize as " + what_ + " says: " + why +
                                               "; use the model's tokenizer.json");
    };
    using Kind = SentencePieceModel::Kind;
    if (model_.kind != Kind::kBpe && model_.kind != Kind::kUnigram)
      unsupported("it holds a model of words or characters, not of pieces");
    if (model_.space_is_suffix) unsupported("spaces stand after words");
    if (!model_.escape_whitespaces) unsupported("spaces are not escaped");
    if (model_.kind == Kind::kUnigram && model_.byte_fallback)
      unsupported("a unigram model with byte fallback");
    if (model_.kind == Kind::kBpe && (!model_.charsmap.empty() || model_.remove_extra_whitespaces))
      unsupported("a BPE model whose text is normalized first");
  }

  void add(const AddedToken& token) {
    const int32_t type =
        static_cast<int32_t>(token.special ? TokenType::kControl : TokenType::kUserDefined);
    const auto id = static_cast<size_t>(token.id);
    if (const auto known = ids_.find(token.content); known != ids_.end()) {
      // Ordinary pieces are often listed as added; what they are is in the model.
      if (token.special) types_[static_cast<size_t>(known->second)] = type;
      return;
    }
    if (id >= model_.pieces.size() + (1u << 17)) {
      fail(what_, "has " + std::to_string(model_.pieces.size()) + " pieces, but the token " +
                      in_quotes(token.content) + " is added as " + std::to_string(token.id));
    }
    if (id >= texts_.size()) {
      texts_.resize(id + 1);
      scores_.resize(id + 1, 0);
      types_.resize(id + 1, static_cast<int32_t>(TokenType::kUnused));
    } else if (!texts_[id].empty() && types_[id] == static_cast<int32_t>(TokenType::kNormal)) {
      fail(what_, "has the piece " + in_quotes(texts_[id]) + " at " + std::to_string(id) +
                      ", where the token " + in_quotes(token.content) + " is added");
    }
    texts_[id] = token.content;
    types_[id] = type;
    ids_[token.content] = token.id;
  }

  void make_control(const std::string& text) {
    const auto known = ids_.find(text);
    if (known == ids_.end()) return;
    types_[static_cast<size_t>(known->second)] = static_cast<int32_t>(TokenType::kControl);
  }

  void fill_gaps() {
    for (size_t i = 0; i < texts_.size(); ++i) {
      if (texts_[i].empty()) texts_[i] = "[UNUSED_" + std::to_string(i) + "]";
    }
  }

  std::optional<int32_t> find(const std::optional<std::string>& text, int32_t absent) const {
    if (text) {
      const auto known = ids_.find(*text);
      if (known != ids_.end()) return known->second;
    }
    if (absent < 0 || static_cast<size_t>(absent) >= texts_.size()) return std::nullopt;
    return absent;
  }

  Metadata write() const {
    const bool unigram = model_.kind == SentencePieceModel::Kind::kUnigram;
    Metadata metadata;
    metadata.set_string("tokenizer.ggml.model", unigram ? "t5" : "llama");
    metadata.set_strings("tokenizer.ggml.tokens", texts_);
    metadata.set_f32_array("tokenizer.ggml.scores", scores_);
    metadata.set_i32_array("tokenizer.ggml.token_type", types_);
    const auto set_id = [&](const char* key, std::optional<int32_t> id) {
      metadata.set_u32(key, id ? static_cast<uint32_t>(*id) : UINT32_MAX);  // the latter for none
    };
    const int32_t eos =
        settings_.end_ids.empty() ? model_.eos : static_cast<int32_t>(settings_.end_ids[0]);
    set_id("tokenizer.ggml.bos_token_id", find(settings_.bos, model_.bos));
    set_id("tokenizer.ggml.eos_token_id", find(settings_.eos, eos));
    set_id("tokenizer.ggml.unknown_token_id", find(settings_.unknown, model_.unknown));
    set_id("tokenizer.ggml.padding_token_id", find(settings_.padding, model_.padding));
    // T5 and its kin end a text, Llama and its kin begin one.
    metadata.set_bool("tokenizer.ggml.add_bos_token", settings_.add_bos.value_or(!unigram));
    metadata.set_bool("tokenizer.ggml.add_eos_token", settings_.add_eos.value_or(unigram));
    metadata.set_bool("tokenizer.ggml.add_space_prefix", model_.add_dummy_prefix);
    metadata.set_bool("tokenizer.ggml.remove_extra_whitespaces", model_.remove_extra_whitespaces);
    if (!model_.charsmap.empty()) {
      MetadataArray bytes{MetadataType::kU8, model_.charsmap.size(), {}, {}};
      bytes.bytes = std::as_bytes(std::span(model_.charsmap));
      metadata.add("tokenizer.ggml.precompiled_charsmap", {MetadataType::kArray, bytes});
    }
    return metadata;
  }

  const SentencePieceModel& model_;
  const Settings& settings_;
  const std::string what_;
  std::vector<std::string> texts_;
  std::vector<float> scores_;
  std::vector<int32_t> types_;
  std::unordered_map<std::string_view, int32_t> ids_;  // views of the file and the settings
};

}  // namespace

SentencePieceModel parse_sentencepiece(std::string_view bytes, const std::string& what) {
  SentencePieceModel model;
  Message message(bytes, what);
  while (message.next()) {
    if (message.number() == 1) {
      if (model.pieces.size() >= kMaxTokens) {
        throw Error(ErrorCode::kLimitExceeded,
                    "cannot read the tokenizer: " + what + " has more than 2^24 pieces, the limit");
      }
      const std::string name = what + ": piece " + std::to_string(model.pieces.size());
      model.pieces.push_back(parse_piece(message.bytes(), name));
    } else if (message.number() == 2) {
      parse_trainer(message.bytes(), what + ": trainer_spec", model);
    } else if (message.number() == 3) {
      parse_normalizer(message.bytes(), what + ": normalizer_spec", model);
    }
  }
  if (model.pieces.empty()) fail(what, "has no pieces");
  return model;
}

std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(const SentencePieceModel& model,
                                                        const Settings& settings,
                                                        const std::string& what) {
  return make_tokenizer(Conversion(model, settings, what).run());
}

std::unique_ptr<Tokenizer> read_sentencepiece(const TokenizerFile& file, const Settings& settings) {
  const auto bytes = open_file(file.path, kMaxFile);
  const SentencePieceModel model = parse_sentencepiece(text_of(*bytes), file.path);
  return make_sentencepiece_tokenizer(model, settings, file.path);
}

}  // namespace omg::huggingface
