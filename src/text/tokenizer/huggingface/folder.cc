// SPDX-License-Identifier: Apache-2.0
#include "text/tokenizer/huggingface/folder.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <unordered_set>

#include "base/error.h"
#include "text/tokenizer/huggingface/token_table.h"

namespace omg::huggingface {
namespace {

constexpr size_t kMaxSmallFile = 64u << 20;  // added tokens of some models fill megabytes
constexpr size_t kMaxDepth = 64;
constexpr size_t kMaxAdded = 1u << 20;

bool is_file(const std::string& path) {
  std::error_code status;
  return std::filesystem::is_regular_file(path, status);
}

/// A special token is a text, an object with one, or null.
std::optional<std::string> read_text(const JsonNode& node, std::string_view key) {
  const auto member = node.find(key);
  if (!member) return std::nullopt;
  const std::string text = read_added_token(*member, true).content;
  return text.empty() ? std::nullopt : std::optional(text);
}

class Reader {
 public:
  explicit Reader(const std::string& folder) : folder_(folder) {}

  Settings read() {
    if (const auto file = read_json(path_in(folder_, "tokenizer_config.json"))) {
      read_tokenizer_config(file->root());
      read_special(file->root());
    }
    if (const auto file = read_json(path_in(folder_, "special_tokens_map.json")))
      read_special(file->root());
    // Older than added_tokens_decoder, and often stale beside it.
    if (const auto file = read_json(path_in(folder_, "added_tokens.json")); file && !has_decoder_) {
      for (const auto& member : file->root().as_object()) {
        AddedToken token;
        token.content = member.key();
        token.id = read_id(file->root().get(member.key()));
        add(std::move(token), file->root());
      }
    }
    for (const char* name : {"generation_config.json", "config.json"}) {
      if (const auto file = read_json(path_in(folder_, name))) read_ids(file->root());
    }
    return std::move(settings_);
  }

 private:
  static TokenId read_id(const JsonNode& node) {
    return static_cast<TokenId>(node.as_u32(static_cast<uint32_t>(kMaxTokens)));
  }

  void add(AddedToken token, const JsonNode& where) {
    if (settings_.added.size() >= kMaxAdded)
      where.exceeds("added tokens", kMaxAdded + 1, kMaxAdded);
    if (token.content.empty() || !texts_.insert(token.content).second) return;
    settings_.added.push_back(std::move(token));
  }

  void read_tokenizer_config(const JsonNode& node) {
    settings_.tokenizer_class = node.string_or("tokenizer_class", "");
    if (node.find("add_bos_token")) settings_.add_bos = node.get("add_bos_token").as_bool();
    if (node.find("add_eos_token")) settings_.add_eos = node.get("add_eos_token").as_bool();
    const auto decoder = node.find("added_tokens_decoder");
    if (!decoder) return;
    has_decoder_ = true;
    for (const auto& member : decoder->as_object()) {
      const std::string_view key = member.key();
      uint32_t id = 0;
      const auto [end, status] = std::from_chars(key.data(), key.data() + key.size(), id);
      if (status != std::errc() || end != key.data() + key.size() || id >= kMaxTokens)
        decoder->fail("has the member " + in_quotes(key) + ", which is no token id");
      AddedToken token = read_added_token(decoder->get(key), false);
      token.id = static_cast<TokenId>(id);
      add(std::move(token), *decoder);
    }
  }

  void read_special(const JsonNode& node) {
    const auto set = [&](std::optional<std::string>& text, std::string_view key) {
      if (!text) text = read_text(node, key);
    };
    set(settings_.bos, "bos_token");
    set(settings_.eos, "eos_token");
    set(settings_.unknown, "unk_token");
    set(settings_.padding, "pad_token");
    for (const char* key : {"sep_token", "cls_token", "mask_token"}) {
      if (auto text = read_text(node, key)) settings_.special.push_back(*text);
    }
    const auto more = node.find("additional_special_tokens");
    if (!more || !more->value().is_array()) return;
    for (const JsonNode& token : more->elements(kMaxAdded))
      settings_.special.push_back(read_added_token(token, true).content);
  }

  /// Ids of "eos_token_id" (one or a list) and "bos_token_id"; the first file that has them counts.
  void read_ids(const JsonNode& node) {
    const auto is_id = [](const JsonNode& id) {
      return id.value().is_int64() && id.value().get_int64() >= 0;  // -1 is written for "none"
    };
    if (const auto bos = node.find("bos_token_id"); bos && !settings_.bos_id && is_id(*bos))
      settings_.bos_id = bos->as_u32(UINT32_MAX);
    const auto eos = node.find("eos_token_id");
    if (!eos || !settings_.end_ids.empty()) return;
    if (!eos->value().is_array()) {
      if (is_id(*eos)) settings_.end_ids.push_back(eos->as_u32(UINT32_MAX));
      return;
    }
    for (const JsonNode& id : eos->elements(1024)) {
      if (is_id(id)) settings_.end_ids.push_back(id.as_u32(UINT32_MAX));
    }
  }

  const std::string folder_;
  Settings settings_;
  std::unordered_set<std::string> texts_;
  bool has_decoder_ = false;
};

}  // namespace

std::optional<MappedFile> open_file(const std::string& path, size_t max_bytes) {
  if (!is_file(path)) return std::nullopt;
  MappedFile file = MappedFile::open(path);
  if (file.bytes().size() > max_bytes) {
    throw Error(ErrorCode::kLimitExceeded, "cannot read " + path + ": it has " +
                                               std::to_string(file.bytes().size()) +
                                               " bytes, the limit is " + std::to_string(max_bytes));
  }
  return file;
}

std::string_view text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

JsonFile::JsonFile(const MappedFile& file, size_t max_depth) : path_(file.path()) {
  JsonLimits limits;
  limits.max_depth = max_depth;
  try {
    value_ = parse_json(text_of(file), path_, limits);
  } catch (const Error& error) {
    // It is the file that is wrong, not what the user said.
    if (error.code() != ErrorCode::kInvalidArgument) throw;
    throw Error(ErrorCode::kCorrupt, error.what());
  }
  root().as_object();
}

std::optional<JsonFile> read_json(const std::string& path) {
  const auto file = open_file(path, kMaxSmallFile);
  if (!file) return std::nullopt;
  return JsonFile(*file, kMaxDepth);
}

std::string path_in(const std::string& folder, const std::string& name) {
  return (std::filesystem::path(folder) / name).string();
}

std::optional<TokenizerFile> find_tokenizer_file(const std::string& path) {
  using Kind = TokenizerFile::Kind;
  std::error_code status;
  if (std::filesystem::is_directory(path, status)) {
    for (const auto& [name, kind] : {std::pair{"tokenizer.json", Kind::kJson},
                                     std::pair{"tokenizer.model", Kind::kSentencePiece},
                                     std::pair{"spiece.model", Kind::kSentencePiece},
                                     std::pair{"sentencepiece.bpe.model", Kind::kSentencePiece}}) {
      if (is_file(path_in(path, name))) return TokenizerFile{kind, path_in(path, name), path};
    }
    return std::nullopt;
  }
  const std::filesystem::path file(path);
  if (!is_file(path)) return std::nullopt;
  const std::string folder = file.parent_path().string();
  if (file.extension() == ".json") return TokenizerFile{Kind::kJson, path, folder};
  if (file.extension() == ".model") return TokenizerFile{Kind::kSentencePiece, path, folder};
  return std::nullopt;
}

Settings read_settings(const std::string& folder) {
  return Reader(folder).read();
}

}  // namespace omg::huggingface
