// SPDX-License-Identifier: Apache-2.0
//
// A folder as models lie on Hugging Face: which files of it describe the text side of a model, and
// what the small ones say.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/mapped_file.h"
#include "text/tokenizer/huggingface/added_tokens.h"
#include "text/tokenizer/huggingface/json_node.h"

namespace omg::huggingface {

/// A file of `folder`, whole; nothing when it is not there. Error(kLimitExceeded) when it has more
/// than `max_bytes`.
std::optional<MappedFile> open_file(const std::string& path, size_t max_bytes);
std::string_view text_of(const MappedFile& file);

/// A JSON file whose root is an object.
class JsonFile {
 public:
  /// Error(kCorrupt) naming the file.
  JsonFile(const MappedFile& file, size_t max_depth);
  JsonNode root() const { return {value_, path_}; }

 private:
  json::value value_;
  std::string path_;
};
std::optional<JsonFile> read_json(const std::string& path);

/// The tokenizer's file in `path`, a folder or one of the two files itself.
struct TokenizerFile {
  enum class Kind { kJson, kSentencePiece };
  Kind kind;
  std::string path;
  std::string folder;  // "" is the current one
};
/// Nothing when there is none.
std::optional<TokenizerFile> find_tokenizer_file(const std::string& path);
std::string path_in(const std::string& folder, const std::string& name);

/// What tokenizer_config.json, special_tokens_map.json, added_tokens.json, generation_config.json
/// and config.json of a folder say about tokens.
struct Settings {
  std::string tokenizer_class;
  std::optional<std::string> bos, eos, unknown, padding;
  std::optional<bool> add_bos, add_eos;
  /// Tokens with ids, as the folder's files add them; a later one of the same text is left out.
  std::vector<AddedToken> added;
  /// Further texts that are special tokens.
  std::vector<std::string> special;
  std::optional<uint32_t> bos_id;
  std::vector<uint32_t> end_ids;  // tokens that end an answer
};
Settings read_settings(const std::string& folder);

}  // namespace omg::huggingface
