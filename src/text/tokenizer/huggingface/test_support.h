// SPDX-License-Identifier: Apache-2.0
//
// Folders of Hugging Face files for tests: written by hand, or made from the vocabularies of real
// model files.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/json.h"
#include "formats/metadata.h"

namespace omg::testing {

/// A folder that is removed with this.
class TemporaryFolder {
 public:
  TemporaryFolder() {
    std::string name = (std::filesystem::temp_directory_path() / "omg-hf-XXXXXX").string();
    if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    path_ = name;
  }
  ~TemporaryFolder() { std::filesystem::remove_all(path_); }
  TemporaryFolder(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }
  std::string write(const std::string& name, std::string_view text) const {
    const std::filesystem::path path = std::filesystem::path(path_) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path, std::ios::binary) << text;
    return path.string();
  }

 private:
  std::string path_;
};

/// tokenizer.json of a model file's byte-level BPE; `pre_tokenizer` and the rest as published.
json::object byte_level_json(const Metadata& metadata, json::value pre_tokenizer);
/// tokenizer.json of SentencePiece's BPE: merges made from the scores, as transformers makes them.
json::object sentencepiece_json(const Metadata& metadata);
/// tokenizer.json of BERT's WordPiece: GGUF's "▁word" and "piece" become "word" and "##piece".
json::object word_piece_json(const Metadata& metadata);
/// tokenizer.model with the same tokens.
std::string sentencepiece_model(const Metadata& metadata);

/// {"type": "Sequence", "pretokenizers": [Split by each expression, ByteLevel without its own]}
json::value split_by(std::initializer_list<const char*> expressions);

}  // namespace omg::testing
