// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/huggingface.h"

#include <filesystem>

#include "base/error.h"
#include "text/tokenizer/huggingface/assembled.h"
#include "text/tokenizer/huggingface/folder.h"
#include "text/tokenizer/huggingface/sentencepiece_file.h"

namespace omg {
namespace {

constexpr size_t kMaxFile = 256u << 20;  // the largest published one has 33 MiB
constexpr size_t kMaxDepth = 64;

}  // namespace

bool is_huggingface_path(const std::string& path) {
  if (huggingface::find_tokenizer_file(path)) return true;
  std::error_code status;
  if (!std::filesystem::is_directory(path, status)) return false;
  for (const char* name : {"tokenizer_config.json", "chat_template.jinja", "chat_template.json"}) {
    if (std::filesystem::is_regular_file(huggingface::path_in(path, name), status)) return true;
  }
  return false;
}

std::unique_ptr<Tokenizer> make_huggingface_tokenizer(const std::string& path) {
  const auto found = huggingface::find_tokenizer_file(path);
  if (!found) {
    throw Error(ErrorCode::kNotFound,
                "no tokenizer in '" + path +
                    "': there is neither a tokenizer.json nor a tokenizer.model; download them "
                    "from the model's page");
  }
  const huggingface::Settings settings = huggingface::read_settings(found->folder);
  if (found->kind == huggingface::TokenizerFile::Kind::kSentencePiece)
    return huggingface::read_sentencepiece(*found, settings);
  const auto file = huggingface::open_file(found->path, kMaxFile);
  const huggingface::JsonFile json(*file, kMaxDepth);
  return huggingface::read_tokenizer_json(json.root(), settings);
}

}  // namespace omg
