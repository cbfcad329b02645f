// SPDX-License-Identifier: Apache-2.0
//
// SentencePiece's model files (tokenizer.model): a Protocol Buffers message with pieces, how they
// were trained, and how text is normalized.
// Source: https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer/huggingface/folder.h"
#include "text/tokenizer/tokenizer.h"

namespace omg::huggingface {

/// Views into the file's bytes.
struct SentencePieceModel {
  enum class Kind : uint32_t { kUnigram = 1, kBpe = 2, kWord = 3, kCharacter = 4 };
  struct Piece {
    std::string_view text;
    float score = 0;
    uint32_t type = 1;  // 1 normal, 2 unknown, 3 control, 4 user-defined, 5 unused, 6 byte
  };
  std::vector<Piece> pieces;
  Kind kind = Kind::kUnigram;
  bool byte_fallback = false;
  bool space_is_suffix = false;
  // Ids; -1 for none.
  int32_t unknown = 0, bos = 1, eos = 2, padding = -1;
  std::string_view charsmap;  // see charsmap.h; empty for none
  bool add_dummy_prefix = true;
  bool remove_extra_whitespaces = true;
  bool escape_whitespaces = true;
};

/// Reads the message; `what` names the file in errors. Error(kCorrupt) where a length or a wire
/// type lies or a piece is no text; Error(kLimitExceeded) for too many pieces.
SentencePieceModel parse_sentencepiece(std::string_view bytes, const std::string& what);

/// The tokenizer of a model, with what `settings` say beside it. Error(kUnsupported) saying what of
/// it is not known here.
std::unique_ptr<Tokenizer> make_sentencepiece_tokenizer(const SentencePieceModel& model,
                                                        const Settings& settings,
                                                        const std::string& what);
/// The tokenizer of the file, with what `settings` say beside it.
std::unique_ptr<Tokenizer> read_sentencepiece(const TokenizerFile& file, const Settings& settings);

}  // namespace omg::huggingface
